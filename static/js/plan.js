// The drawer of Plan and Board: a click on a vehicle's lane or tile opens it; closing gives the focus back.
(() => {
  const lanes = "[data-chart=lanes-figure]";
  let opener = null;

  const drawer = () => document.getElementById("drawer");

  const close = () => {
    drawer().replaceChildren();
    (document.getElementById(opener?.id) ?? opener)?.focus(); // what opened it may have been drawn again
    opener = null;
  };

  // Rows have equal heights, so the place of a click names its row; bars need not be hit.
  const rowAt = (canvas, event) => {
    const ground = canvas.querySelector(".nsewdrag")?.getBoundingClientRect();
    if (!ground || event.clientY < ground.top || event.clientY > ground.bottom) return null;
    const addresses = JSON.parse(document.getElementById("lanes-rows").textContent);
    return addresses[Math.floor(((event.clientY - ground.top) / ground.height) * addresses.length)];
  };

  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-close-drawer]");
    if (closer && drawer()?.contains(closer)) {
      event.preventDefault();
      close();
      return;
    }
    const canvas = event.target.closest(lanes);
    const address = canvas && rowAt(canvas, event);
    if (address) htmx.ajax("GET", address, { target: "#drawer" });
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target === drawer()) opener = event.detail.elt.closest("a, button");
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drawer()?.hasChildNodes()) close();
  });
})();
