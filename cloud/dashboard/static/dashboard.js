/* Runs in the browser: the theme, ages that tick, values that flash, charts that grow. */
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let wanted = document.documentElement.dataset.wanted || "auto";
  const paint = () => {
    const dark = wanted === "dark" || (wanted === "auto" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  paint();
  system.addEventListener("change", paint);

  const skew = Number(document.documentElement.dataset.now || Date.now()) - Date.now();
  const words = (seconds) => {
    if (seconds < 1) return "now";
    if (seconds < 90) return `${Math.floor(seconds)} s ago`;
    if (seconds < 5400) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} d ago`;
  };

  class Ago extends HTMLElement {
    static observedAttributes = ["at"];
    static all = new Set();
    constructor() {
      super();
      this.attachShadow({ mode: "open" });
    }
    connectedCallback() {
      Ago.all.add(this);
      this.draw();
    }
    disconnectedCallback() {
      Ago.all.delete(this);
    }
    attributeChangedCallback() {
      this.draw();
    }
    draw() {
      const at = Number(this.getAttribute("at"));
      const text = at ? words((Date.now() + skew - at) / 1000) : this.getAttribute("never") || "never";
      if (this.shadowRoot.textContent !== text) this.shadowRoot.textContent = text;
      if (at) this.title = new Date(at).toLocaleString();
    }
  }
  customElements.define("im-ago", Ago);
  setInterval(() => Ago.all.forEach((ago) => ago.draw()), 1000);

  const flash = (node) => {
    node.classList.remove("flash");
    void node.offsetWidth;
    node.classList.add("flash");
  };
  addEventListener("DOMContentLoaded", () =>
    new MutationObserver((changes) => {
      const touched = new Set();
      for (const change of changes) {
        const element = change.target.nodeType === 3 ? change.target.parentElement : change.target;
        const live = element?.closest("[data-live]");
        if (live && change.target.isConnected) touched.add(live);
      }
      touched.forEach(flash);
    }).observe(document.body, { subtree: true, characterData: true }),
  );

  const number = (value, digits = 3) =>
    Number(value).toLocaleString("en", { maximumFractionDigits: digits }).replaceAll(",", "\u202f");

  window.inmetter = {
    number,
    theme(choice) {
      wanted = choice;
      paint();
    },
    /* A label on a time axis: the date at midnight, else the time. */
    when(value) {
      const at = new Date(value);
      const day = { timeZone: "UTC", day: "numeric", month: "short" };
      if (at.getUTCHours() + at.getUTCMinutes() === 0) return at.toLocaleDateString("en-GB", day);
      return at.toISOString().slice(11, 16);
    },
    /* What a chart says about the place under the pointer. */
    tip(points, unit) {
      const point = points[0];
      const value = Array.isArray(point.value) ? point.value[1] : point.value;
      const when = Array.isArray(point.value)
        ? new Date(point.value[0]).toLocaleString("en-GB", {
            timeZone: "UTC", weekday: "short", day: "numeric", month: "short", hour: "2-digit",
            minute: "2-digit", second: "2-digit", hour12: false,
          })
        : point.axisValue;
      const shown = value == null ? "no reading" : `${number(value)}\u202f${unit}`;
      const note = point.data?.name === "estimated" ? " · estimated" : "";
      return `<div class="tip"><b>${shown}</b>${note}<br>${when}</div>`;
    },
    /* Append points to a chart's first series, and drop those that left its window. */
    append(id, points, span) {
      const chart = getElement(id)?.chart;
      if (!chart) return;
      const data = chart.getOption().series[0].data.concat(points);
      const first = data[data.length - 1][0] - span;
      chart.setOption({
        xAxis: { min: first },
        series: [{ data: data.filter((point) => point[0] >= first) }],
      });
    },
  };
})();
