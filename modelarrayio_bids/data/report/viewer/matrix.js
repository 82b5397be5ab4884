'use strict';

const MOST_PIXELS = 900;

/** Edges as a matrix, a cell each; a click or the arrow keys choose one. */
class Matrix {
  constructor(places, host, pick) {
    [this.rows, this.columns] = places.matrix;
    this.pick = pick;
    this.cell = Math.max(1, Math.floor(MOST_PIXELS / Math.max(this.rows, this.columns)));
    this.canvas = document.createElement('canvas');
    this.canvas.width = this.columns * this.cell;
    this.canvas.height = this.rows * this.cell;
    this.canvas.className = 'matrix';
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'img');
    this.canvas.style.aspectRatio = `${this.columns} / ${this.rows}`;
    this.canvas.addEventListener('pointerdown', (event) => this.pickAt(event));
    this.canvas.addEventListener('keydown', (event) => this.step(event));
    host.append(this.canvas);
    this.element = 0;
  }

  pickAt(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - top) / height * this.rows);
    const column = Math.floor((event.clientX - left) / width * this.columns);
    this.choose(row, column);
  }

  choose(row, column) {
    if (row < 0 || column < 0 || row >= this.rows || column >= this.columns) return;
    this.pick(row * this.columns + column);
  }

  step(event) {
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [down, right] = moves[event.key];
    this.choose(Math.floor(this.element / this.columns) + down, this.element % this.columns + right);
  }

  draw({ values, alive, colour, element }) {
    const context = this.canvas.getContext('2d');
    const image = new ImageData(this.columns, this.rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let at = 0; at < pixels.length; at++) {
      const grey = Number.isFinite(values[at]) ? 60 : 30;
      pixels[at] = alive[at] ? colour(values[at]) : opaque(grey, grey, grey);
    }
    const small = new OffscreenCanvas(this.columns, this.rows);
    small.getContext('2d').putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, this.canvas.width, this.canvas.height);
    this.element = Math.max(0, element);
    if (element >= 0) {
      context.strokeStyle = 'rgb(120, 220, 255)';
      context.lineWidth = 2;
      const [x, y] = [element % this.columns, Math.floor(element / this.columns)];
      context.strokeRect(x * this.cell - 1, y * this.cell - 1, this.cell + 2, this.cell + 2);
    }
    this.canvas.setAttribute('aria-label', `Matrix of ${this.rows} rows and ${this.columns} columns, in the order of the file. Arrow keys choose a cell.`);
  }
}
