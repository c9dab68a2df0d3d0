// Loaded before the first paint: the remembered theme must not flash.
(() => {
  const root = document.documentElement;
  const remembered = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage can be forbidden; the system's theme is then used
    }
  };
  const theme = remembered();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
})();
