// The event stream: tells which kind of thing happened, and whether it is open.
//
// A hidden page closes it: browsers allow six connections to a server, over all their tabs.

import { base } from './api.js';

const EVENTS = ['states', 'halt', 'release', 'reconcile', 'drift', 'anomaly', 'health', 'reset'];
// After a refusal, twice as long each time.
const RETRY_MS = 5_000;
const RETRY_MS_MAX = 300_000;

// follow(onEvent, onChange): `onEvent(kind)` for each event, `onChange(isOpen)` when the stream opens or ends.
export function follow(onEvent, onChange) {
  let source = null;
  let timer = null;
  let retryMs = RETRY_MS;

  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
    onChange(false);
  };
  const open = () => {
    close();
    if (document.hidden) return;
    source = new EventSource(`${base}api/v1/stream`);
    source.onopen = () => {
      retryMs = RETRY_MS;
      onChange(true);
    };
    source.onerror = () => {
      onChange(false);
      // A refusal ends an EventSource for good; after a lost connection it tries again by itself.
      if (source?.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    };
    for (const kind of EVENTS) source.addEventListener(kind, () => onEvent(kind));
  };
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  window.addEventListener('pagehide', close);
  window.addEventListener('pageshow', (event) => event.persisted && open());
  open();
}
