'use strict';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, LEFT, BELOW, ABOVE] = [460, 300, 62, 44, 12];

/** Values of the images at an element, against a covariate. */
class Scatter {
  constructor(facts, arrays) {
    this.facts = facts;
    this.values = arrays.get('sample.values');
    this.lows = arrays.get('sample.lows');
    this.highs = arrays.get('sample.highs');
    this.elements = arrays.get('sample.elements');
    this.estimates = arrays.get('sample.estimates');
    this.design = arrays.get('sample.design');
    this.place = new Map([...this.elements].map((element, place) => [element, place]));
  }

  get nImages() { return this.facts.images.length; }

  has(element) { return this.place.has(element); }

  /** Return whether the page has a fit against a covariate, and so adjusted values. */
  fits(covariate) {
    return this.facts.fitted && Boolean(covariate) && this.facts.columns.some(({ of }) => of.includes(covariate.name));
  }

  /** Return the values of the images at an element: NaN where there is none. */
  at(element) {
    const place = this.place.get(element);
    const [low, high] = [this.lows[place], this.highs[place]];
    const coded = this.values.subarray(place * this.nImages, (place + 1) * this.nImages);
    return Array.from(coded, (code) => (code ? low + (code - 1) / 65534 * (high - low) : NaN));
  }

  /**
   * Return points and fit of an element: x, raw and adjusted y, and the fit there.
   *
   * Adjusted is what other columns of the design do not explain, at their mean.
   */
  points(element, covariate) {
    const y = this.at(element);
    const x = covariate ? covariate.numbers || covariate.codes.map((code) => (code < 0 ? null : code)) : y.map((_, row) => row);
    const rows = y.map((_, row) => row).filter((row) => Number.isFinite(y[row]) && x[row] !== null);
    const fit = this.fit(element, covariate, rows);
    return {
      rows,
      x: rows.map((row) => x[row]),
      raw: rows.map((row) => y[row]),
      adjusted: fit && rows.map((row, at) => y[row] - fit.other[at] + fit.mean),
      fitted: fit && fit.own.map((value) => value + fit.mean),
      curve: fit && fit.alone,
    };
  }

  fit(element, covariate, rows) {
    if (!this.facts.fitted || !covariate || !rows.length) return null;
    const { columns } = this.facts;
    const place = this.place.get(element);
    const estimates = columns.map((_, column) => this.estimates[column * this.elements.length + place] || 0);
    const own = columns.map(({ of }) => of.includes(covariate.name));
    if (!own.some(Boolean)) return null;
    const sum = (row, wanted) => columns.reduce((total, _, column) => (own[column] === wanted
      ? total + estimates[column] * this.design[row * columns.length + column] : total), 0);
    const other = rows.map((row) => sum(row, false));
    return {
      other,
      own: rows.map((row) => sum(row, true)),
      mean: other.reduce((a, b) => a + b, 0) / rows.length,
      alone: columns.every(({ of }, column) => !own[column] || of.length === 1),
    };
  }

  /** Draw into an SVG element, and tell `readout` which image the pointer is nearest to. */
  draw(svg, element, covariate, adjust, readout) {
    const points = this.points(element, covariate);
    const y = adjust && points.adjusted ? points.adjusted : points.raw;
    const frame = new Frame(svg, points, y, covariate);
    frame.axes(adjust && points.adjusted ? `${this.facts.measure}, adjusted` : this.facts.measure);
    frame.dots(points.x, y);
    if (points.fitted && adjust) frame.fit(points);
    svg.onpointermove = (event) => {
      const near = frame.nearest(event, points.x, y);
      if (near >= 0) readout(`${this.facts.images[points.rows[near]]}: ${number(y[near])}`);
    };
    return points.rows.length;
  }
}

class Frame {
  constructor(svg, points, y, covariate) {
    this.svg = svg;
    this.covariate = covariate;
    svg.replaceChildren();
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    const levels = covariate && covariate.levels;
    this.x = levels ? [-0.5, levels.length - 0.5] : padded(points.x);
    this.y = padded(points.fitted ? [...y, ...points.fitted] : y);
  }

  left(value) { return LEFT + (value - this.x[0]) / (this.x[1] - this.x[0]) * (WIDTH - LEFT - 10); }

  top(value) { return HEIGHT - BELOW - (value - this.y[0]) / (this.y[1] - this.y[0]) * (HEIGHT - BELOW - ABOVE); }

  axes(measure) {
    const levels = this.covariate && this.covariate.levels;
    const ticks = levels ? levels.map((name, at) => [at, name]) : nice(this.x).map((at) => [at, String(at)]);
    for (const [at, text] of ticks) this.text(text, this.left(at), HEIGHT - BELOW + 17, 'middle');
    for (const at of nice(this.y)) {
      this.text(number(at), LEFT - 7, this.top(at) + 4, 'end');
      this.add('path', { d: `M${LEFT} ${this.top(at)}H${WIDTH - 10}`, class: 'gridline' });
    }
    this.add('path', { d: `M${LEFT} ${ABOVE}V${HEIGHT - BELOW}H${WIDTH - 10}`, class: 'axis' });
    this.text(this.covariate ? this.covariate.name : 'image number', (LEFT + WIDTH) / 2, HEIGHT - 6, 'middle');
    this.text(measure, 0, 0, 'middle').setAttribute('transform', `translate(13 ${(HEIGHT - BELOW) / 2}) rotate(-90)`);
  }

  dots(x, y) {
    const spread = this.covariate && this.covariate.levels ? 0.25 : 0;
    this.shifted = x.map((value, at) => value + spread * (((at * 0.618034) % 1) - 0.5));
    const d = this.shifted.map((value, at) => `M${this.left(value).toFixed(1)} ${this.top(y[at]).toFixed(1)}h0`).join('');
    this.add('path', { d, class: 'dots' });
  }

  fit({ x, fitted, curve }) {
    const order = x.map((_, at) => at).sort((a, b) => x[a] - x[b]);
    const place = (at) => `${this.left(x[at]).toFixed(1)} ${this.top(fitted[at]).toFixed(1)}`;
    const bar = this.covariate.levels ? 40 : 6;
    const line = curve && !this.covariate.levels
      ? `M${order.map(place).join('L')}`
      : order.map((at) => `M${place(at)}m${-bar / 2} 0h${bar}`).join('');
    this.add('path', { d: line, class: 'fit' });
  }

  nearest(event, x, y) {
    const { left, top, width } = this.svg.getBoundingClientRect();
    const zoom = WIDTH / width;
    let [best, least] = [-1, 400];
    x.forEach((_, at) => {
      const away = (this.left(this.shifted[at]) - (event.clientX - left) * zoom) ** 2
        + (this.top(y[at]) - (event.clientY - top) * zoom) ** 2;
      if (away < least) [best, least] = [at, away];
    });
    return best;
  }

  add(tag, attributes) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    this.svg.append(element);
    return element;
  }

  text(content, x, y, anchor) {
    const element = this.add('text', { x, y, 'text-anchor': anchor });
    element.textContent = content;
    return element;
  }
}

function padded(values) {
  const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  if (!Number.isFinite(low)) return [0, 1];
  const room = (high - low) * 0.06 || Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

/** Return about five round numbers between two ends. */
function nice([low, high]) {
  const rough = (high - low) / 5;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((times) => times * unit >= rough) * unit;
  const ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push(Number(at.toPrecision(12)));
  return ticks;
}
