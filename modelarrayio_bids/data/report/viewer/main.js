'use strict';

const MOST_CLUSTERS = 20;
// Of each power of ten, the p values that the slider stops at.
const STOPS = [1, 0.7, 0.5, 0.3, 0.2, 0.15];
const P_LEVELS = [...Array(9).keys()].flatMap((power) => STOPS.map((stop) => Number((stop * 10 ** -power).toPrecision(2))));
const SIZE_STOPS = 200;

const by = (id) => document.getElementById(id);

/** The page: what is chosen, and everything drawn from it. */
class Viewer {
  constructor(facts, arrays) {
    this.facts = facts;
    this.arrays = arrays;
    this.places = new Places(facts.places, arrays);
    this.scatter = new Scatter(facts.sample, arrays);
    this.alive = new Uint8Array(this.places.n);
    this.element = -1;
    this.adjusts = true;
    this.tables = Object.fromEntries(Object.entries(facts.colours).map(([name, colours]) => [
      name, Uint32Array.from(colours, ([red, green, blue]) => opaque(red, green, blue)),
    ]));
    this.build();
    this.listen();
    this.chooseTerm();
  }

  build() {
    const host = by('views');
    const surfaces = this.places.surfaces.map((_, index) => index).filter((index) => this.places.surfaces[index].points);
    surfaces.sort((a, b) => this.places.surfaces[a].hemisphere.localeCompare(this.places.surfaces[b].hemisphere));
    this.turn = { azimuth: 0, elevation: 0, changed: () => this.redraw() };
    this.spinning = surfaces.map((index) => new SurfaceView(this.places, index, by('cortex'), this.turn, (element) => this.choose(element)));
    by('cortex').hidden = by('turns').hidden = !surfaces.length;
    this.slices = this.places.grid && new Slices(this.places, host, () => this.chooseHere());
    this.matrix = this.places.matrix && new Matrix(this.places, host, (element) => this.choose(element));
    host.hidden = !this.slices && !this.matrix;
    by('somewhere').hidden = !(this.slices || this.matrix || surfaces.length);
    by('nowhere').hidden = !by('somewhere').hidden;
    if (!this.places.touching) by('clusters-h').textContent = `Strongest ${this.places.kind}`;
    by('clusters').classList.toggle('single', !this.places.touching);
    by('clusters').classList.toggle('without-volume', !(this.places.grid && this.places.grid.volume));
    options(by('term'), this.facts.terms.map(({ title }) => title));
    options(by('covariate'), [...this.facts.sample.covariates.map(({ name }) => name), 'image number']);
    this.below = { anatomy: this.anatomy(), "the cohort's mean": this.mean(), nothing: null };
    options(by('background'), Object.keys(this.below).filter((name) => this.below[name] || name === 'nothing'));
    by('background').parentElement.hidden = !this.slices;
  }

  anatomy() {
    return this.facts.anatomy && sampler(this.arrays.get('anatomy'), this.facts.anatomy);
  }

  mean() {
    const grey = this.arrays.get('mean');
    return grey && ((_, element) => (element >= 0 ? DARK + 0.8 * grey[element] : DARK));
  }

  listen() {
    by('term').onchange = () => this.chooseTerm();
    by('map').onchange = () => this.chooseMap();
    by('measure').onchange = () => this.chooseMeasure();
    by('threshold').oninput = () => this.moveLevel(this.levels[by('threshold').value]);
    by('level').onchange = () => this.moveLevel(Number(by('level').value));
    by('sign').onchange = () => this.apply();
    by('background').onchange = () => this.redraw();
    by('covariate').onchange = () => this.describe();
    by('adjusted').onchange = () => {
      this.adjusts = by('adjusted').checked;
      this.describe();
    };
    by('which').onchange = () => this.choose(Number(by('which').value), false);
    for (const button of by('turns').querySelectorAll('button')) {
      button.onclick = () => {
        [this.turn.azimuth, this.turn.elevation] = button.dataset.turn.split(' ').map((share) => share * Math.PI);
        this.redraw();
      };
    }
  }

  get term() { return this.facts.terms[by('term').selectedIndex]; }

  get covariate() { return this.facts.sample.covariates[by('covariate').selectedIndex]; }

  /** Return the numbers of a result: as they are, or, of p values, as -log10. */
  numbers({ array, correction }) {
    if (correction === undefined) return this.arrays.get(array);
    return this.arrays.get(array).map((p) => -Math.log10(p));
  }

  chooseTerm() {
    const { term } = this;
    this.maps = [...term.shown, ...term.p.map((p) => ({ ...p, label: `-log10 p, ${corrected(p)}` }))];
    options(by('map'), this.maps.map(({ label }) => label));
    const first = this.maps.findIndex(({ array }) => array === (term.first || term.p[0].array));
    by('map').selectedIndex = Math.max(0, first);
    const own = this.facts.sample.columns.find(({ name }) => name === term.name);
    const wanted = this.facts.sample.covariates.findIndex(({ name }) => own && own.of.includes(name));
    if (wanted >= 0) by('covariate').selectedIndex = wanted;
    by('finding').textContent = term.finding;
    by('file').textContent = this.facts.maps[by('term').selectedIndex];
    this.chooseMap(true);
  }

  chooseMap(isNew) {
    const map = this.maps[by('map').selectedIndex];
    this.values = this.numbers(map);
    const before = this.measures && this.measures[by('measure').selectedIndex].label;
    this.measures = [
      ...this.term.p.map((p) => ({ ...p, label: `p, ${corrected(p)}` })).sort((a, b) => (b.array === this.term.deciding) - (a.array === this.term.deciding)),
      { array: map.array, label: `size of ${map.label}`, noun: map.label },
    ];
    options(by('measure'), this.measures.map(({ label }) => label));
    const chosen = this.measures.findIndex(({ label }) => label === before);
    const keeps = chosen >= 0 && (this.moved || !isNew);
    if (keeps) by('measure').selectedIndex = chosen;
    this.setColours();
    by('sign').parentElement.hidden = !this.twoSided;
    this.chooseMeasure(isNew && !keeps, keeps && this.moved ? this.level : null);
    if (this.element >= 0) this.choose(this.element, false, this.sameVoxel(this.element));
  }

  setColours() {
    // As in the report: what survives spans the colours, or everything.
    const p = this.arrays.get(this.term.deciding);
    const kept = this.values.filter((_, element) => p[element] < this.term.level);
    const spanned = kept.length ? kept : this.values;
    this.twoSided = this.values.some((value) => value < 0);
    const [low, high] = [quantile(spanned, 0.02), quantile(spanned, 0.98)];
    const end = kept.length ? quantile(kept.map(Math.abs), 0.98) : Math.max(-low, high);
    const round = (value) => Number(value.toPrecision(3));
    this.range = this.twoSided ? [-round(end), round(end)] : [round(low), round(high)];
    const table = this.tables[this.twoSided ? 'vik' : 'viridis'];
    const [from, to] = this.range;
    const times = 255 / (to - from || 1);
    this.colour = (value) => table[Math.max(0, Math.min(255, Math.round((value - from) * times)))];
    this.drawBar(table);
  }

  drawBar(table) {
    const canvas = by('bar');
    canvas.width = 256;
    canvas.height = 1;
    const image = new ImageData(256, 1);
    new Uint32Array(image.data.buffer).set(table);
    canvas.getContext('2d').putImageData(image, 0, 0);
    const [from, to] = this.range;
    by('bar-low').textContent = number(from);
    by('bar-middle').textContent = number((from + to) / 2);
    by('bar-high').textContent = number(to);
    by('bar-label').textContent = this.maps[by('map').selectedIndex].label;
  }

  chooseMeasure(isNew = false, level = null) {
    const measure = this.measures[by('measure').selectedIndex];
    this.isP = measure.correction !== undefined;
    this.judged = this.isP ? this.arrays.get(measure.array) : this.values;
    const most = this.isP ? 0 : this.judged.reduce((top, value) => (Number.isFinite(value) ? Math.max(top, Math.abs(value)) : top), 0);
    this.levels = this.isP ? P_LEVELS : Array.from({ length: SIZE_STOPS + 1 }, (_, stop) => Number((most * stop / SIZE_STOPS).toPrecision(3)));
    by('threshold').max = this.levels.length - 1;
    const usual = this.isP ? (measure.array === this.term.deciding ? this.term.level : measure.correction ? 0.05 : 0.001) : this.levels[SIZE_STOPS / 2];
    this.moved = level !== null;
    this.setLevel(level ?? usual);
    // Where nothing survives, all values are shown, as in the report.
    if (isNew && !this.count) this.setLevel(this.levels[0]);
  }

  /** Set a level that somebody chose: it stays with another term. */
  moveLevel(level) {
    this.moved = true;
    this.setLevel(level);
  }

  setLevel(level) {
    if (!(level >= 0 && level < Infinity)) return;
    this.level = level;
    const away = this.levels.map((stop) => Math.abs(this.isP ? Math.log(stop / Math.max(level, 1e-12)) : stop - level));
    by('threshold').value = away.indexOf(Math.min(...away));
    by('level').value = level;
    by('threshold').setAttribute('aria-valuetext', this.rule());
    this.apply();
  }

  rule() {
    const { label, noun } = this.measures[by('measure').selectedIndex];
    if (this.isP) return this.level >= 1 ? 'no threshold' : `p < ${this.level}, ${label.slice(3)}`;
    return this.twoSided ? `|${noun}| ≥ ${this.level}` : `${noun} ≥ ${this.level}`;
  }

  /** Find the elements that pass, count them, and draw. Levels are compared as float32. */
  apply() {
    const level = Math.fround(this.level);
    const side = by('sign').parentElement.hidden ? 0 : Number(by('sign').value);
    const { values, judged, alive, isP } = this;
    let count = 0;
    let tested = 0;
    for (let i = 0; i < values.length; i++) {
      const known = Number.isFinite(values[i]) || Math.abs(values[i]) === Infinity;
      const counts = this.places.counts(i, this.term.once);
      tested += known && counts;
      const passes = isP ? level >= 1 || judged[i] < level : Math.abs(judged[i]) >= level;
      alive[i] = known && passes && (!side || values[i] * side > 0);
      count += alive[i] && counts;
    }
    this.count = count;
    const { kind } = this.places;
    by('count').textContent = `${count.toLocaleString('en-US')} of ${tested.toLocaleString('en-US')} ${kind}${this.term.once ? ' (each is shown twice)' : ''}: ${this.rule()}.`;
    by('count').dataset.count = count;
    this.redraw();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.listClusters(), 80);
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      const shown = {
        values: this.values, alive: this.alive, colour: this.colour, element: this.element,
        below: this.below[by('background').value],
      };
      for (const view of this.spinning) view.draw(shown);
      if (this.slices) this.slices.draw(shown);
      if (this.matrix) this.matrix.draw(shown);
    });
  }

  listClusters() {
    const { count, largest } = findClusters(this.places, this.alive, this.values, MOST_CLUSTERS, this.term.once);
    const { kind } = this.places;
    const few = largest.length < count ? `, the ${this.places.touching ? 'largest' : 'strongest'} ${largest.length} listed` : '';
    const noun = this.places.touching ? (count === 1 ? 'cluster' : 'clusters') : kind.replace(/s$/, count === 1 ? '' : 's');
    by('clusters-count').textContent = `${count.toLocaleString('en-US')} ${noun}${few}`;
    by('rows').replaceChildren(...largest.map((cluster, rank) => this.row(cluster, rank)));
    if (this.element < 0 && largest.length) this.choose(largest[0].peak);
    else if (this.element < 0) this.choose(0);
  }

  row({ size, peak, value, volume }, rank) {
    const row = document.createElement('tr');
    const button = document.createElement('button');
    button.textContent = this.places.label(peak);
    button.onclick = () => this.choose(peak);
    const cells = [rank + 1, button, number(value), size.toLocaleString('en-US'), volume === null ? '' : number(volume)];
    for (const content of cells) row.insertCell().append(content);
    row.onclick = (event) => event.target !== button && this.choose(peak);
    return row;
  }

  chooseHere() {
    const elements = this.slices.elements(this.values);
    if (elements.length) this.choose(elements[0], false, elements);
    else {
      by('where').textContent = `No ${this.places.kind.replace(/s$/, '')} here.`;
      this.redraw();
    }
  }

  /** Show an element: everywhere, and what is known of it. */
  choose(element, move = true, together = null) {
    this.element = element;
    if (this.slices && move && this.places.voxelOf[element] >= 0) this.slices.show(element);
    if (move && this.places.surfaceOf[element] >= 0) this.face(element);
    if (together || move) this.offer(together || this.sameVoxel(element));
    this.describe();
    this.redraw();
  }

  /** Turn the surfaces to the side that a vertex is on, unless it is in sight. */
  face(element) {
    const view = this.spinning.find(({ surface }) => surface === this.places.surfaces[this.places.surfaceOf[element]]);
    if (!view || view.sees(this.places.vertexOf[element])) return;
    this.turn.azimuth = view.surface.points[3 * this.places.vertexOf[element]] * view.outwards >= 0 ? 0 : Math.PI;
    this.turn.elevation = 0;
  }

  sameVoxel(element) {
    if (!this.slices || this.places.voxelOf[element] < 0) return [element];
    const [first, last] = this.places.elementsAt(...this.places.indices(element));
    return [...this.places.byVoxel.list.subarray(first, last)];
  }

  /** Let one choose among several elements of a voxel. */
  offer(elements) {
    by('which').parentElement.hidden = elements.length < 2;
    by('which').replaceChildren(...elements.map((one) => new Option(`${one} (${number(this.values[one])})`, one)));
    by('which').value = this.element;
  }

  describe() {
    const { element, term } = this;
    by('where').textContent = this.places.label(element);
    const shown = [...term.shown, ...term.p.map((p) => ({ ...p, label: `p, ${corrected(p)}` }))];
    const numbers = shown.map(({ array, label }) => [label, this.arrays.get(array)[element]]);
    by('numbers').replaceChildren(...[...numbers, ...this.ofImages(element)].map(([label, value]) => {
      const pair = document.createElement('div');
      pair.innerHTML = '<dt></dt><dd></dd>';
      pair.firstChild.textContent = label;
      pair.lastChild.textContent = number(value);
      return pair;
    }));
    this.drawScatter();
  }

  /** Return how many images the model of an element is of, and the degrees of freedom left. */
  ofImages(element) {
    const { images } = this.facts;
    if (!images) return [];
    const n = this.arrays.has('images') ? this.arrays.get('images')[element] : images.n;
    const df = images.lost === null ? 0 : n - images.lost;
    return [['N', n], ...(df > 0 ? [['residual df', df]] : [])];
  }

  drawScatter() {
    const there = this.scatter.has(this.element);
    by('plot').hidden = !there;
    by('no-values').hidden = there;
    if (!there) return;
    const fits = this.scatter.fits(this.covariate);
    const adjust = fits && this.adjusts;
    by('adjusted').disabled = !fits;
    by('adjusted').checked = adjust;
    by('readout').textContent = 'Point at a dot to see whose it is.';
    const n = this.scatter.draw(by('scatter'), this.element, this.covariate, adjust, (text) => { by('readout').textContent = text; });
    const against = this.covariate ? ` against ${this.covariate.name}` : '';
    by('scatter').setAttribute('aria-label', `${this.scatter.facts.measure} of ${n} images${against} at ${this.places.label(this.element)}`);
  }
}

function corrected({ correction }) {
  return correction ? `corrected (${correction})` : 'not corrected';
}

function options(select, texts) {
  select.replaceChildren(...texts.map((text) => new Option(text)));
}

async function start() {
  const facts = JSON.parse(by('facts').textContent);
  window.viewer = new Viewer(facts, await readArrays());
  document.body.dataset.ready = 'yes';
}

start().catch((error) => {
  by('count').textContent = `This browser cannot show the page (${error.message}). Firefox 113, Chrome 80, Safari 16.4 and newer ones can.`;
});
