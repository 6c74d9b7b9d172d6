// Streamlit calls this at every update of the data, with the same element.
const colours = (element) => {
  const style = getComputedStyle(element);
  const read = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  return {
    text: read("--st-text-color", "#14212b"),
    line: read("--st-border-color", "#dbe2e6"),
    accent: read("--st-primary-color", "#0e7490"),
    font: read("--st-font", "sans-serif"),
  };
};

const axis = (given, colour) => ({
  gridcolor: colour.line, linecolor: colour.line, zeroline: false, ...given,
});

const draw = (host, data) => {
  const figure = JSON.parse(data.figure);
  const colour = colours(host);
  const layout = {
    ...figure.layout,
    template: null,
    height: data.height,
    autosize: true,
    uirevision: "kept",
    font: { color: colour.text, family: colour.font, size: 12 },
    colorway: [colour.accent],
    hovermode: "closest",
    xaxis: axis(figure.layout.xaxis, colour),
    yaxis: axis(figure.layout.yaxis, colour),
  };
  host.setAttribute("aria-label", data.alt);
  window.Plotly.react(host, figure.data, layout, { displayModeBar: false, responsive: true });
};

export default ({ data, parentElement }) => {
  const host = parentElement.querySelector(".mr-live");
  host.pending = data;
  if (window.Plotly) {
    draw(host, data);
  } else if (!host.waits) {
    host.waits = true;
    window.addEventListener("movierec-plotly", () => draw(host, host.pending), { once: true });
  }
};
