'use strict';

/**
 * Find clusters among elements that pass the threshold: those that touch, within a structure, with
 * values of one sign. Return how many there are and the largest ones, as the report does.
 */
function findClusters(places, alive, values, most, once) {
  const clusters = places.touching
    ? [...flooded(places, alive, values)]
    : [...alone(alive, values, (element) => places.counts(element, once))];
  clusters.sort((a, b) => b.size - a.size || Math.abs(b.value) - Math.abs(a.value));
  const volume = places.grid && places.grid.volume;
  const largest = clusters.slice(0, most).map((cluster) => ({
    ...cluster,
    volume: volume && cluster.inVoxels ? cluster.size * volume : null,
  }));
  return { count: clusters.length, largest };
}

function* alone(alive, values, counts) {
  for (let element = 0; element < alive.length; element++) {
    if (alive[element] && counts(element)) yield { size: 1, peak: element, value: values[element], inVoxels: false };
  }
}

function* flooded(places, alive, values) {
  const left = Uint8Array.from(alive);
  const whole = new Set();
  for (let seed = 0; seed < left.length; seed++) {
    if (!left[seed]) continue;
    const cluster = { size: 0, peak: seed, value: values[seed], inVoxels: true };
    const queue = [seed];
    left[seed] = 0;
    while (queue.length) {
      const element = queue.pop();
      cluster.size++;
      cluster.inVoxels &&= places.voxelOf[element] >= 0;
      if (Math.abs(values[element]) > Math.abs(cluster.value)
        || (values[element] === cluster.value && element < cluster.peak)) {
        cluster.peak = element;
        cluster.value = values[element];
      }
      for (const other of neighbours(places, element, values[element] >= 0, whole)) {
        if (!left[other] || (values[other] >= 0) !== (values[element] >= 0)) continue;
        if (places.structure && places.structure[other] !== places.structure[element]) continue;
        left[other] = 0;
        queue.push(other);
      }
    }
    yield cluster;
  }
}

function* neighbours(places, element, positive, whole) {
  if (places.voxelOf[element] >= 0) yield* touching(places, element);
  const index = places.surfaceOf[element];
  if (index < 0) return;
  const surface = places.surfaces[index];
  if (surface.around) {
    const { starts, list } = surface.around;
    const vertex = places.vertexOf[element];
    for (let at = starts[vertex]; at < starts[vertex + 1]; at++) {
      if (surface.elementAt[list[at]] >= 0) yield surface.elementAt[list[at]];
    }
  } else if (!whole.has(`${index} ${positive}`)) {
    // Without a mesh all vertices of a cortex are one cluster.
    whole.add(`${index} ${positive}`);
    for (const other of surface.elementAt) if (other >= 0) yield other;
  }
}

/** Yield the elements of the same voxel and of the 26 around it. */
function* touching(places, element) {
  const [i, j, k] = places.indices(element);
  for (let dk = -1; dk <= 1; dk++) {
    for (let dj = -1; dj <= 1; dj++) {
      for (let di = -1; di <= 1; di++) {
        const [first, last] = places.elementsAt(i + di, j + dj, k + dk);
        for (let at = first; at < last; at++) yield places.byVoxel.list[at];
      }
    }
  }
}
