// One live region for the page. It speaks when the reader has chosen something and paused, and never by itself.
let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const region = document.getElementById('said');
    if (region) region.textContent = text;
  }, 500);
}
