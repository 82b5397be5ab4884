'use strict';

const SIDE = 440;
// In units of points, hundredths of a mm: as much as a triangle may be in front of its corner.
const NEAR = 300;

/** A mesh that spins: drawn by a z-buffer, so that it needs no graphics card. */
class SurfaceView {
  constructor(places, index, host, views, pick) {
    this.places = places;
    this.surface = places.surfaces[index];
    this.views = views;
    this.pick = pick;
    this.canvas = document.createElement('canvas');
    this.canvas.width = this.canvas.height = SIDE;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'img');
    this.image = new ImageData(SIDE, SIDE);
    this.depth = new Float32Array(SIDE * SIDE);
    this.seen = new Int32Array(SIDE * SIDE);
    this.screen = new Float32Array(this.surface.points.length);
    this.listen();
    host.append(this.canvas);
  }

  get outwards() {
    return this.surface.hemisphere === 'R' ? 1 : -1;
  }

  listen() {
    this.canvas.addEventListener('pointerdown', (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.dragged = 0;
    });
    this.canvas.addEventListener('pointermove', (event) => {
      if (!event.buttons) return;
      this.dragged += Math.abs(event.movementX) + Math.abs(event.movementY);
      this.spin(event.movementX, event.movementY);
    });
    this.canvas.addEventListener('pointerup', (event) => this.dragged < 4 && this.pickAt(event));
    this.canvas.addEventListener('keydown', (event) => {
      const turns = { ArrowLeft: [-12, 0], ArrowRight: [12, 0], ArrowUp: [0, -12], ArrowDown: [0, 12] };
      if (!(event.key in turns)) return;
      event.preventDefault();
      this.spin(...turns[event.key]);
    });
  }

  spin(right, down) {
    this.views.azimuth += right * 0.01 * this.outwards;
    this.views.elevation = Math.max(-1.57, Math.min(1.57, this.views.elevation + down * 0.01));
    this.views.changed();
  }

  pickAt(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const x = Math.floor((event.clientX - left) / width * SIDE);
    const y = Math.floor((event.clientY - top) / width * SIDE);
    const vertex = this.seen[y * SIDE + x];
    if (vertex >= 0 && this.surface.elementAt[vertex] >= 0) this.pick(this.surface.elementAt[vertex]);
  }

  /** Turn points to the screen: x to the right, y down, and the nearer the greater z. */
  project() {
    const { points, unit } = this.surface;
    const { azimuth, elevation } = this.views;
    const [across, along] = [Math.sin(azimuth), this.outwards * Math.cos(azimuth)];
    const [ce, se] = [Math.cos(elevation), Math.sin(elevation)];
    this.radius ||= unit * Math.sqrt(points.reduce((most, _, i) => (i % 3 ? most
      : Math.max(most, points[i] ** 2 + points[i + 1] ** 2 + points[i + 2] ** 2)), 1));
    const scale = unit * SIDE * 0.48 / this.radius;
    for (let i = 0; i < points.length; i += 3) {
      const right = across * points[i] + along * points[i + 1];
      const near = along * points[i] - across * points[i + 1];
      this.screen[i] = SIDE / 2 + scale * right;
      this.screen[i + 1] = SIDE / 2 - scale * (points[i + 2] * ce - near * se);
      this.screen[i + 2] = near * ce + points[i + 2] * se;
    }
  }

  draw(shown) {
    this.project();
    this.depth.fill(-Infinity);
    this.seen.fill(-1);
    const { triangles } = this.surface;
    for (let t = 0; t < triangles.length; t += 3) this.cover(triangles[t], triangles[t + 1], triangles[t + 2]);
    this.paint(shown);
  }

  /** Note the nearest corner of a triangle at each pixel that it covers and nothing hides. */
  cover(a, b, c) {
    const s = this.screen;
    const [ax, ay, bx, by, cx, cy] = [s[3 * a], s[3 * a + 1], s[3 * b], s[3 * b + 1], s[3 * c], s[3 * c + 1]];
    const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
    if (area === 0) return;
    const right = Math.min(SIDE - 1, Math.max(ax, bx, cx));
    const bottom = Math.min(SIDE - 1, Math.max(ay, by, cy));
    for (let y = Math.max(0, Math.ceil(Math.min(ay, by, cy))); y <= bottom; y++) {
      for (let x = Math.max(0, Math.ceil(Math.min(ax, bx, cx))); x <= right; x++) {
        const v = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area;
        const w = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area;
        const u = 1 - v - w;
        if (u < -1e-6 || v < -1e-6 || w < -1e-6) continue;
        const z = u * s[3 * a + 2] + v * s[3 * b + 2] + w * s[3 * c + 2];
        const at = y * SIDE + x;
        if (z <= this.depth[at]) continue;
        this.depth[at] = z;
        this.seen[at] = u >= v && u >= w ? a : v >= w ? b : c;
      }
    }
  }

  paint({ values, alive, colour, element }) {
    const pixels = new Uint32Array(this.image.data.buffer);
    const { elementAt, shade } = this.surface;
    for (let at = 0; at < pixels.length; at++) {
      const vertex = this.seen[at];
      if (vertex < 0) { pixels[at] = 0; continue; }
      const here = elementAt[vertex];
      const grey = shade[vertex];
      pixels[at] = here >= 0 && alive[here] ? colour(values[here]) : opaque(grey, grey, grey);
    }
    const context = this.canvas.getContext('2d');
    context.putImageData(this.image, 0, 0);
    this.mark(context, element);
    this.canvas.setAttribute('aria-label', `Surface of the ${this.surface.structure}. Drag it or use arrow keys to turn it, click it to choose a vertex.`);
  }

  /** Tell whether a vertex is in sight: nothing is much nearer there. */
  sees(vertex) {
    const [x, y, z] = this.screen.subarray(3 * vertex, 3 * vertex + 3);
    return this.depth[Math.round(y) * SIDE + Math.round(x)] - z < NEAR;
  }

  mark(context, element) {
    if (element < 0 || this.places.surfaces[this.places.surfaceOf[element]] !== this.surface) return;
    const vertex = this.places.vertexOf[element];
    const [x, y] = this.screen.subarray(3 * vertex, 3 * vertex + 2);
    context.strokeStyle = this.sees(vertex) ? 'rgb(216, 27, 96)' : 'rgba(216, 27, 96, 0.3)';
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(x, y, 7, 0, 7);
    context.stroke();
  }
}
