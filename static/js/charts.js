// Draws every <div data-chart="ID"> from the figure in <script type="application/json" id="ID">.
// Colours in figures are CSS variables ("var(--charge)"), so one figure serves the light and the dark theme.
(() => {
  const plotlyUrl = document.currentScript.dataset.plotly;
  const canvases = "[data-chart]";
  const characterWidth = 6.4;
  const labelGap = 12;
  const drawnWidths = new WeakMap();
  let plotly = null;

  const loadPlotly = () => {
    plotly ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = plotlyUrl;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("The chart library could not be loaded."));
      document.head.append(script);
    });
    return plotly;
  };

  const colourReader = () => {
    const probe = document.createElement("i");
    probe.hidden = true;
    document.body.append(probe);
    const known = new Map();
    const read = (name) => {
      if (!known.has(name)) {
        probe.style.color = name;
        known.set(name, getComputedStyle(probe).color);
      }
      return known.get(name);
    };
    return { read, done: () => probe.remove() };
  };

  const resolved = (value, read) => {
    if (typeof value === "string") return /^var\(--[\w-]+\)$/.test(value) ? read(value) : value;
    if (Array.isArray(value)) return value.map((item) => resolved(item, read));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item, read)]));
  };

  // An axis brings several sets of ticks; take the densest whose labels fit, else tilt the sparsest.
  const chooseTicks = (layout, width) => {
    const choices = layout.meta?.tick_choices;
    if (!choices?.length) return;
    const plotWidth = width - layout.margin.l - layout.margin.r;
    const needed = ({ ticktext }) =>
      ticktext.length * (labelGap + characterWidth * Math.max(...ticktext.map((text) => text.length)));
    const best = choices.find((choice) => needed(choice) <= plotWidth);
    layout.xaxis = { ...layout.xaxis, tickmode: "array", ...(best ?? { ...choices.at(-1), tickangle: -35, automargin: true }) };
  };

  // Amounts on bars that would run into each other, as on a phone, are left to the table and to the touch.
  const fitAmounts = (data, layout, width) => {
    for (const trace of data) {
      if (trace.type !== "bar" || !Array.isArray(trace.text)) continue;
      const place = (width - layout.margin.l - layout.margin.r) / trace.text.length;
      const longest = Math.max(...trace.text.map((text) => text.length));
      if (place < longest * characterWidth) trace.textposition = "none";
    }
  };

  const draw = async (canvas) => {
    const source = document.getElementById(canvas.dataset.chart);
    const figure = JSON.parse(source.textContent);
    if (figure.layout.height) canvas.style.minHeight = `${figure.layout.height}px`;
    const Plotly = await loadPlotly();
    if (!canvas.isConnected) return;
    const colours = colourReader();
    const { data, layout } = resolved(figure, colours.read);
    layout.font = { ...layout.font, family: getComputedStyle(document.body).fontFamily };
    layout.width = canvas.clientWidth;
    chooseTicks(layout, canvas.clientWidth);
    fitAmounts(data, layout, canvas.clientWidth);
    drawnWidths.set(canvas, canvas.clientWidth);
    await Plotly.react(canvas, data, layout, { displayModeBar: false, doubleClick: "reset", scrollZoom: false });
    colours.done();
    canvas.dataset.drawn = "true";
  };

  const widths = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const width = target.clientWidth;
      if (width && drawnWidths.has(target) && drawnWidths.get(target) !== width) draw(target);
    }
  });

  const drawAll = (root) => {
    const found = root.matches?.(canvases) ? [root] : root.querySelectorAll(canvases);
    for (const canvas of found) {
      draw(canvas);
      widths.observe(canvas);
    }
  };

  document.addEventListener("DOMContentLoaded", () => drawAll(document));
  document.addEventListener("htmx:load", (event) => {
    if (event.target !== document.body) drawAll(event.target);
  });
  document.addEventListener("themechange", () => {
    for (const canvas of document.querySelectorAll(`${canvases}[data-drawn]`)) draw(canvas);
  });
  document.addEventListener("htmx:beforeCleanupElement", (event) => {
    const canvas = event.target;
    if (canvas.matches?.(`${canvases}[data-drawn]`)) {
      widths.unobserve(canvas);
      window.Plotly?.purge(canvas);
    }
  });
})();
