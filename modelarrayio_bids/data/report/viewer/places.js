'use strict';

/** Where elements are: in voxels of a grid, at vertices of surfaces, in a matrix. */
class Places {
  constructor(facts, arrays) {
    Object.assign(this, facts);
    this.structure = arrays.get('structures');
    this.region = arrays.get('regions');
    this.names = arrays.has('names') ? new TextDecoder().decode(arrays.get('names')).split('\n') : null;
    this.voxelOf = new Int32Array(this.n).fill(-1);
    this.surfaceOf = new Int8Array(this.n).fill(-1);
    this.vertexOf = new Int32Array(this.n).fill(-1);
    if (this.grid) this.placeVoxels(arrays.get('grid.voxels'), arrays.get('grid.elements'));
    this.surfaces.forEach((surface, index) => this.placeVertices(surface, index, arrays));
  }

  placeVoxels(voxels, elements) {
    const [nx, ny, nz] = this.grid.shape;
    this.byVoxel = grouped(voxels, elements, nx * ny * nz);
    for (let pair = voxels.length - 1; pair >= 0; pair--) this.voxelOf[elements[pair]] = voxels[pair];
    this.box = boxAround(voxels, this.grid);
  }

  placeVertices(surface, index, arrays) {
    const vertices = arrays.get(`surface${index}.vertices`);
    const elements = arrays.get(`surface${index}.elements`);
    surface.elementAt = new Int32Array(surface.vertices).fill(-1);
    for (let pair = vertices.length - 1; pair >= 0; pair--) {
      surface.elementAt[vertices[pair]] = elements[pair];
      this.surfaceOf[elements[pair]] = index;
      this.vertexOf[elements[pair]] = vertices[pair];
    }
    surface.points = arrays.get(`surface${index}.points`);
    surface.places = arrays.get(`surface${index}.places`);
    if (!surface.points) return;
    surface.triangles = arrays.get(`surface${index}.triangles`);
    surface.shade = arrays.get(`surface${index}.shade`);
    surface.around = meshNeighbours(surface.triangles, surface.vertices);
  }

  /** Return the first and the last place in `byVoxel.list` of the elements of a voxel. */
  elementsAt(i, j, k) {
    const [nx, ny, nz] = this.grid.shape;
    if (i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz) return [0, 0];
    const voxel = i + nx * (j + ny * k);
    return [this.byVoxel.starts[voxel], this.byVoxel.starts[voxel + 1]];
  }

  indices(element) {
    const [nx, ny] = this.grid.shape;
    const voxel = this.voxelOf[element];
    return [voxel % nx, Math.floor(voxel / nx) % ny, Math.floor(voxel / (nx * ny))];
  }

  /** Return where an element is in mm; null of one that is in no voxel. */
  position(element) {
    if (this.voxelOf[element] < 0) return null;
    return applied(this.grid.affine, this.indices(element));
  }

  /** Return whether an element is to be counted: of a symmetric matrix one of each two. */
  counts(element, once) {
    if (!once) return true;
    const columns = this.matrix[1];
    return Math.floor(element / columns) <= element % columns;
  }

  /** Return the name of an element, and the region of an atlas that it is in. */
  label(element) {
    const region = this.region ? this.regions[this.region[element]] : '';
    return region ? `${this.nameOf(element)}, ${region}` : this.nameOf(element);
  }

  nameOf(element) {
    if (this.names) return this.names[element];
    const where = this.structure ? this.structures[this.structure[element]] : '';
    const place = this.position(element);
    if (place) {
      const digits = this.grid.edge > 0 ? Math.max(0, Math.ceil(-Math.log10(this.grid.edge))) : 0;
      const text = `(${place.map((mm) => (Number(mm.toFixed(digits)) + 0).toFixed(digits)).join(', ')}) mm`;
      return where ? `${text}, ${where}` : text;
    }
    if (this.surfaceOf[element] >= 0) {
      const vertex = this.vertexOf[element];
      const { structure, places } = this.surfaces[this.surfaceOf[element]];
      const at = places && this.touching ? ` (${[0, 1, 2].map((axis) => places[3 * vertex + axis]).join(', ')}) mm` : '';
      return `vertex ${vertex} of ${where || structure}${at}`;
    }
    if (this.matrix) return `row ${Math.floor(element / this.matrix[1]) + 1}, column ${(element % this.matrix[1]) + 1}`;
    return `element ${element}`;
  }
}

/** Return the neighbours of each vertex, grouped. */
function meshNeighbours(triangles, n) {
  const from = new Int32Array(triangles.length * 2);
  const to = new Int32Array(triangles.length * 2);
  for (let t = 0; t < triangles.length; t += 3) {
    for (let corner = 0; corner < 3; corner++) {
      const a = triangles[t + corner];
      const b = triangles[t + ((corner + 1) % 3)];
      const at = 2 * (t + corner);
      [from[at], to[at], from[at + 1], to[at + 1]] = [a, b, b, a];
    }
  }
  return grouped(from, to, n);
}

/** Return the least and greatest mm along each axis of RAS+ of some voxels, with a margin. */
function boxAround(voxels, grid) {
  const [nx, ny] = grid.shape;
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (const voxel of voxels) {
    const at = [voxel % nx, Math.floor(voxel / nx) % ny, Math.floor(voxel / (nx * ny))];
    for (let axis = 0; axis < 3; axis++) {
      if (at[axis] < low[axis]) low[axis] = at[axis];
      if (at[axis] > high[axis]) high[axis] = at[axis];
    }
  }
  const box = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
  for (let corner = 0; corner < 8; corner++) {
    const at = [0, 1, 2].map((axis) => (corner >> axis & 1 ? high[axis] + 0.5 : low[axis] - 0.5));
    applied(grid.affine, at).forEach((mm, axis) => {
      box[0][axis] = Math.min(box[0][axis], mm);
      box[1][axis] = Math.max(box[1][axis], mm);
    });
  }
  const margin = Math.max(...[0, 1, 2].map((axis) => box[1][axis] - box[0][axis])) * 0.03;
  return [box[0].map((mm) => mm - margin), box[1].map((mm) => mm + margin)];
}

function applied(affine, [i, j, k]) {
  return [0, 1, 2].map((row) => affine[row][0] * i + affine[row][1] * j + affine[row][2] * k + affine[row][3]);
}

/** Return the inverse of an affine, as its first three rows. */
function inverted(affine) {
  const [[a, b, c, x], [d, e, f, y], [g, h, i, z]] = affine;
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  const rows = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ].map((row) => row.map((value) => value / determinant));
  return rows.map((row) => [...row, -(row[0] * x + row[1] * y + row[2] * z)]);
}
