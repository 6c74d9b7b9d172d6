"use strict";
// Draws the figures of a page; the data of each lies in the element after its place, as JSON.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const PAPER = 680; // px: the width of an A4 page within its margins
  let onPaper = false;

  const look = () => {
    const [text, grid] = dark.matches && !onPaper ? ["#e6edf1", "#2b3942"] : ["#14212b", "#dbe2e6"];
    const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid };
    const font = { color: text, family: "system-ui, sans-serif", size: 13 };
    return { layout: { font, xaxis: axis, yaxis: axis, legend: { font } } };
  };

  const draw = (place) => {
    const figure = JSON.parse(place.nextElementSibling.textContent);
    const size = onPaper ? { width: PAPER, autosize: false } : { autosize: true };
    const layout = { ...figure.layout, ...size, template: look() };
    const options = { displayModeBar: false, responsive: !onPaper };
    Plotly.react(place, figure.data, layout, options).then(() => place.classList.add("mr-drawn"));
  };

  const places = [...document.querySelectorAll("[data-figure]")];
  const drawAll = () => places.filter((place) => !place.closest("details:not([open])")).forEach(draw);

  drawAll();
  dark.addEventListener("change", drawAll);
  document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", drawAll));
  window.addEventListener("beforeprint", () => { onPaper = true; drawAll(); });
  window.addEventListener("afterprint", () => { onPaper = false; drawAll(); });
})();
