// The little that pages need beside htmx: theme switch, menus, and cards that say when they are stale.
(() => {
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)");

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);

  const announceTheme = () => {
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.setAttribute("aria-pressed", String(isDark()));
    }
    document.dispatchEvent(new CustomEvent("themechange"));
  };

  const switchTheme = () => {
    const theme = isDark() ? "light" : "dark";
    root.dataset.theme = theme;
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // forbidden storage: the choice lasts for this page
    }
    announceTheme();
  };

  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (menu !== except) menu.open = false;
    }
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) switchTheme();
    closeMenus(event.target.closest("details.menu"));
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  systemDark.addEventListener("change", announceTheme);
  document.addEventListener("DOMContentLoaded", announceTheme);

  // The words of depot_pages.age_in_words.
  const ageInWords = (seconds) => {
    if (seconds < 2) return "just now";
    if (seconds < 60) return `${Math.floor(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} days ago`;
  };

  // The depot's clock runs on by itself, at the speed of the depot (which may be accelerated), and with it the
  // ages of values that are sent again only when they change.
  const runClock = () => {
    const clock = document.getElementById("depot-clock");
    if (!clock) return;
    const { now, speed, zone } = clock.dataset;
    const started = Date.now();
    const depotNow = () => Number(now) + (Date.now() - started) * Number(speed);
    const format = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone });
    setInterval(() => {
      clock.textContent = format.format(new Date(depotNow()));
    }, 1000);
    setInterval(() => {
      for (const age of document.querySelectorAll("time[data-age]")) {
        const words = ageInWords((depotNow() - Date.parse(age.dateTime)) / 1000);
        age.textContent = age.classList.contains("stale") ? `stale, ${words}` : words;
      }
    }, 5000);
  };
  document.addEventListener("DOMContentLoaded", runClock);

  // Cards refresh only while somebody looks, keep their place when nothing changed, and never hide
  // that they could not be refreshed.
  const lastAnswers = new WeakMap();
  const cardOf = (event) => event.detail.target?.closest?.("[data-card]");
  const isPoll = (event) => !event.detail.requestConfig?.triggeringEvent;

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && cardOf(event) && lastAnswers.has(event.detail.target) && isPoll(event)) {
      event.preventDefault();
    }
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    if (new URL(xhr.responseURL).pathname === document.body.dataset.login) {
      event.detail.shouldSwap = false;
      location.reload(); // the log-in has expired: show it as a page, not inside a card
      return;
    }
    if (!cardOf(event) || xhr.status !== 200) return;
    if (lastAnswers.get(target) === xhr.responseText) event.detail.shouldSwap = false;
    lastAnswers.set(target, xhr.responseText);
  });

  const markStale = (event) => cardOf(event)?.classList.add("is-stale");
  document.addEventListener("htmx:sendError", markStale);
  document.addEventListener("htmx:timeout", markStale);
  document.addEventListener("htmx:responseError", markStale);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) cardOf(event)?.classList.remove("is-stale");
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const card of document.querySelectorAll("[data-card] [hx-get]")) htmx.trigger(card, "refresh");
  });
})();
