// Requests to the exporter that served this page: JSON in, JSON out, with its refusals as errors.

const TIMEOUT_MS = 8_000;

// The way from this page to the root of the exporter: '' or '../'.
export const base = document.body.dataset.base;

// The exporter answered, and refused.
export class Refusal extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? `status ${status}`);
    this.status = status;
    this.code = body?.code ?? `http_${status}`;
    this.body = body ?? {};
  }
}

// Nobody answered.
export class Away extends Error {}

// The clock of the exporter less that of this browser, in milliseconds.
let skewMs = 0;

export function now() {
  return Date.now() + skewMs;
}

function noteClock(response) {
  const at = Date.parse(response.headers.get('date') ?? '');
  // The header has whole seconds: a smaller difference is none.
  if (!Number.isNaN(at)) skewMs = Math.abs(at - Date.now()) < 2_000 ? 0 : at - Date.now();
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(base + path, { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS), ...options });
    noteClock(response);
    if (response.ok) return await (options?.text ? response.text() : response.json());
  } catch (error) {
    throw new Away(String(error?.message ?? error));
  }
  const body = await response.json().catch(() => null);
  // A proxy answers for an exporter that it cannot reach.
  if (body?.code == null && [502, 504].includes(response.status)) throw new Away(`status ${response.status}`);
  throw new Refusal(response.status, body);
}

export function query(parameters) {
  const known = Object.entries(parameters).filter(([, value]) => value != null);
  return known.length > 0 ? `?${new URLSearchParams(known)}` : '';
}

export function get(path, parameters = {}) {
  return request(`api/v1/${path}${query(parameters)}`);
}

export function getText(path) {
  return request(path, { text: true });
}

// A decision. Browsers send a password by themselves, also where another site tells them to, so decisions
// need the token in a header of their own. The password is left out then: a browser that sees the token refused
// would forget the password, and the page could read no more.
export function decide(path, body, token) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  const credentials = token ? 'omit' : 'same-origin';
  return request(`api/v1/${path}`, { method: 'POST', headers, credentials, body: JSON.stringify(body) });
}

// Below /accounts/ a browser sends the password to that folder alone, until it was asked for it at the root.
export async function enter() {
  if (base !== '') await fetch(base, { method: 'HEAD', cache: 'no-store' }).catch(() => null);
}
