'use strict';

const ARRAYS = { Float32Array, Int32Array, Int16Array, Uint16Array, Uint8Array };

/** Decode the arrays of the page: a Map of typed arrays by name. */
async function readArrays() {
  const arrays = new Map();
  const elements = [...document.querySelectorAll('script[data-array]')];
  for (const element of elements) {
    arrays.set(element.dataset.array, await decoded(element));
    element.remove();
  }
  return arrays;
}

/** Inflate one array, put the bytes of each number together, and undo differences. */
async function decoded(element) {
  const { type, delta } = element.dataset;
  const planes = await inflated(element.textContent);
  const width = ARRAYS[type].BYTES_PER_ELEMENT;
  const length = planes.length / width;
  const bytes = new Uint8Array(planes.length);
  for (let plane = 0; plane < width; plane++) {
    for (let i = 0; i < length; i++) bytes[i * width + plane] = planes[plane * length + i];
  }
  const array = new ARRAYS[type](bytes.buffer);
  if (delta) for (let i = 1; i < length; i++) array[i] += array[i - 1];
  return array;
}

async function inflated(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Group (key, item) pairs by key: the items of key k are list[starts[k]] to list[starts[k + 1]]. */
function grouped(keys, items, n) {
  const starts = new Int32Array(n + 1);
  for (const key of keys) starts[key + 1]++;
  for (let k = 0; k < n; k++) starts[k + 1] += starts[k];
  const next = starts.slice(0, n);
  const list = new Int32Array(keys.length);
  for (let i = 0; i < keys.length; i++) list[next[keys[i]]++] = items[i];
  return { starts, list };
}

/** Write a number with three digits, as the report does. */
function number(value) {
  if (!Number.isFinite(value)) return 'none';
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e7) return Math.round(value).toLocaleString('en-US');
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(2).replace(/\.?0+e/, 'e');
  return String(Number(value.toPrecision(3)));
}

/** Return the value below which a share of the finite values lies. */
function quantile(values, share) {
  const finite = Float32Array.from(values.filter(Number.isFinite)).sort();
  if (!finite.length) return 0;
  const at = share * (finite.length - 1);
  const [below, above] = [finite[Math.floor(at)], finite[Math.ceil(at)]];
  return below + (at % 1) * (above - below);
}
