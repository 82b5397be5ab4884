'use strict';

// The page is whole without this: here are a filter of its parts, and links into folded ones.

const filter = document.getElementById('filter');

/** Show the parts whose titles hold all words that were typed. */
function narrow() {
  const words = filter.value.toLowerCase().split(/\s+/);
  for (const part of document.querySelectorAll('[data-filter]')) {
    const title = part.dataset.filter.toLowerCase();
    part.hidden = !words.every((word) => title.includes(word));
  }
  document.getElementById('no-match').hidden = document.querySelector('[data-filter]:not([hidden])') !== null;
}

/** Open what holds the place that a link leads to. */
function reveal() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = place; part; part = part.parentElement) if (part.tagName === 'DETAILS') part.open = true;
  if (place) place.scrollIntoView();
}

if (filter) {
  filter.parentElement.hidden = false;
  filter.addEventListener('input', narrow);
}
addEventListener('hashchange', reveal);
reveal();
