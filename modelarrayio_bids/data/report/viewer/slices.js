'use strict';

const PLANES = [
  { name: 'Axial', across: 2, right: 0, up: 1, sides: ['L', 'R', 'A', 'P'] },
  { name: 'Coronal', across: 1, right: 0, up: 2, sides: ['L', 'R', 'S', 'I'] },
  { name: 'Sagittal', across: 0, right: 1, up: 2, sides: ['P', 'A', 'S', 'I'] },
];
// Pixels along the longest side of the elements.
const LONGEST = 460;
const DARK = 12;

/** Three slices that cross at a place in mm; `pick(position)` is told of clicks and of keys. */
class Slices {
  constructor(places, host, pick) {
    this.places = places;
    this.pick = pick;
    this.inverse = inverted(places.grid.affine);
    const [low, high] = places.box;
    this.cross = low.map((mm, axis) => (mm + high[axis]) / 2);
    this.scale = LONGEST / Math.max(...low.map((mm, axis) => high[axis] - mm));
    this.views = PLANES.map((plane) => this.view(plane, host));
  }

  view(plane, host) {
    const [low, high] = this.places.box;
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round((high[plane.right] - low[plane.right]) * this.scale));
    canvas.height = Math.max(1, Math.round((high[plane.up] - low[plane.up]) * this.scale));
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'img');
    canvas.style.flexGrow = canvas.width / canvas.height;
    canvas.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
    canvas.addEventListener('pointerdown', (event) => this.follow(event, canvas, plane));
    canvas.addEventListener('pointermove', (event) => event.buttons && this.follow(event, canvas, plane));
    canvas.addEventListener('keydown', (event) => this.step(event, plane));
    canvas.addEventListener('wheel', (event) => canvas === document.activeElement && this.turn(event, plane), { passive: false });
    host.append(canvas);
    return { plane, canvas, image: new ImageData(canvas.width, canvas.height) };
  }

  follow(event, canvas, { right, up }) {
    const [low, high] = this.places.box;
    const { left, top, width, height } = canvas.getBoundingClientRect();
    this.cross[right] = low[right] + (event.clientX - left) / width * (high[right] - low[right]);
    this.cross[up] = high[up] - (event.clientY - top) / height * (high[up] - low[up]);
    this.pick(this.cross);
  }

  step(event, { across, right, up }) {
    const moves = {
      ArrowLeft: [right, -1], ArrowRight: [right, 1], ArrowUp: [up, 1], ArrowDown: [up, -1],
      PageUp: [across, 1], PageDown: [across, -1],
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.move(...moves[event.key]);
  }

  turn(event, { across }) {
    event.preventDefault();
    this.move(across, -Math.sign(event.deltaY));
  }

  move(axis, steps) {
    const [low, high] = this.places.box;
    const mm = this.cross[axis] + steps * this.places.grid.edge;
    this.cross[axis] = Math.min(high[axis], Math.max(low[axis], mm));
    this.pick(this.cross);
  }

  /** Go to an element that is in a voxel. */
  show(element) {
    this.cross = this.places.position(element) || this.cross;
  }

  /** Return the elements at the place where slices cross, the strongest first. */
  elements(values) {
    const [i, j, k] = this.nearest(this.cross);
    const [first, last] = this.places.elementsAt(i, j, k);
    return [...this.places.byVoxel.list.subarray(first, last)]
      .sort((a, b) => Math.abs(values[b] || 0) - Math.abs(values[a] || 0));
  }

  nearest(position) {
    return this.inverse.map((row) => Math.round(
      row[0] * position[0] + row[1] * position[1] + row[2] * position[2] + row[3],
    ));
  }

  /** Draw all slices; `shown` has `values`, `alive`, `colour(value)` and `below`. */
  draw(shown) {
    for (const view of this.views) {
      this.paint(view, shown);
      this.annotate(view);
    }
  }

  paint({ plane, canvas, image }, shown) {
    const { across, right, up } = plane;
    const [low, high] = this.places.box;
    const place = [0, 0, 0];
    place[across] = this.cross[across];
    const pixels = new Uint32Array(image.data.buffer);
    for (let y = 0, at = 0; y < canvas.height; y++) {
      place[up] = high[up] - (y + 0.5) / this.scale;
      for (let x = 0; x < canvas.width; x++, at++) {
        place[right] = low[right] + (x + 0.5) / this.scale;
        pixels[at] = this.pixel(place, shown);
      }
    }
    canvas.getContext('2d').putImageData(image, 0, 0);
  }

  pixel(place, { values, alive, colour, below }) {
    const [rx, ry, rz] = this.inverse;
    const i = Math.round(rx[0] * place[0] + rx[1] * place[1] + rx[2] * place[2] + rx[3]);
    const j = Math.round(ry[0] * place[0] + ry[1] * place[1] + ry[2] * place[2] + ry[3]);
    const k = Math.round(rz[0] * place[0] + rz[1] * place[1] + rz[2] * place[2] + rz[3]);
    const [nx, ny, nz] = this.places.grid.shape;
    let best = -1;
    let first = 0;
    if (i >= 0 && j >= 0 && k >= 0 && i < nx && j < ny && k < nz) {
      const { starts, list } = this.places.byVoxel;
      const voxel = i + nx * (j + ny * k);
      first = starts[voxel + 1] > starts[voxel] ? list[starts[voxel]] : -1;
      for (let at = starts[voxel]; at < starts[voxel + 1]; at++) {
        const element = list[at];
        if (alive[element] && (best < 0 || Math.abs(values[element]) > Math.abs(values[best]))) best = element;
      }
    } else {
      first = -1;
    }
    if (best >= 0) return colour(values[best]);
    const grey = below ? below(place, first) : first >= 0 ? 70 : DARK;
    return opaque(grey, grey, grey);
  }

  annotate({ plane, canvas }) {
    const { across, right, up, sides, name } = plane;
    const [low, high] = this.places.box;
    const context = canvas.getContext('2d');
    const x = (this.cross[right] - low[right]) * this.scale;
    const y = (high[up] - this.cross[up]) * this.scale;
    context.strokeStyle = 'rgba(120, 220, 255, 0.75)';
    context.lineWidth = 1;
    context.beginPath();
    for (const [from, to] of [[[x, 0], [x, y - 8]], [[x, y + 8], [x, canvas.height]], [[0, y], [x - 8, y]], [[x + 8, y], [canvas.width, y]]]) {
      context.moveTo(...from);
      context.lineTo(...to);
    }
    context.stroke();
    const mm = `${'xyz'[across]} = ${number(this.cross[across])} mm`;
    // As large on every screen.
    const size = 13 * canvas.width / (canvas.clientWidth || canvas.width);
    context.font = `${size}px system-ui, sans-serif`;
    context.lineWidth = size / 5;
    const write = (text, align, left, top) => {
      context.textAlign = align;
      context.strokeStyle = 'black';
      context.fillStyle = 'white';
      context.strokeText(text, left, top);
      context.fillText(text, left, top);
    };
    write(sides[0], 'left', 5, canvas.height / 2 + 5);
    write(sides[1], 'right', canvas.width - 5, canvas.height / 2 + 5);
    write(sides[2], 'center', canvas.width / 2, size + 2);
    write(mm, 'left', 6, canvas.height - 7);
    canvas.setAttribute('aria-label', `${name} slice, ${mm}. Arrow keys move the cross, page keys the slice.`);
  }
}

/** Return a grey level at a place in mm by linear interpolation, of an image of bytes. */
function sampler(bytes, { shape: [nx, ny, nz], affine }) {
  const [rx, ry, rz] = inverted(affine);
  return (place) => {
    const x = rx[0] * place[0] + rx[3];
    const y = ry[1] * place[1] + ry[3];
    const z = rz[2] * place[2] + rz[3];
    const i = Math.floor(x);
    const j = Math.floor(y);
    const k = Math.floor(z);
    if (i < 0 || j < 0 || k < 0 || i >= nx - 1 || j >= ny - 1 || k >= nz - 1) return DARK;
    const [u, v, w] = [x - i, y - j, z - k];
    const at = i + nx * (j + ny * k);
    const plane = (from) => (1 - v) * ((1 - u) * bytes[from] + u * bytes[from + 1])
      + v * ((1 - u) * bytes[from + nx] + u * bytes[from + nx + 1]);
    return Math.max(DARK, (1 - w) * plane(at) + w * plane(at + nx * ny)) * 0.85;
  };
}

function opaque(red, green, blue) {
  return (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
}
