// The browser, and what must be true of every page in it.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { chromium } from 'playwright-core';

const ROOT = path.resolve(process.env.ROOT ?? '../..');
const PICTURES = path.join(ROOT, 'target/page');
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const WIDE = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 740 };

export async function launch() {
  mkdirSync(PICTURES, { recursive: true });
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: FLAGS });
}

// A page with the record of its errors and of the hosts that it asked.
export class Visit {
  errors = [];
  strangers = [];
  // Errors that a test causes on purpose.
  expected = [];

  // withClock: the time of the page can be moved.
  static async to(browser, url, { withClock = false, ...options } = {}) {
    const visit = new Visit();
    visit.context = await browser.newContext({ viewport: WIDE, locale: 'en-GB', timezoneId: 'Europe/Berlin', ...options });
    visit.page = await visit.context.newPage();
    visit.page.setDefaultTimeout(10_000);
    const { host } = new URL(url);
    visit.page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) visit.errors.push(message.text());
    });
    visit.page.on('pageerror', (error) => visit.errors.push(error.stack));
    visit.page.on('request', (request) => {
      if (new URL(request.url()).host !== host) visit.strangers.push(request.url());
    });
    if (process.env.PAGE_FILES) await visit.#serveFiles(process.env.PAGE_FILES);
    if (withClock) await visit.page.clock.install();
    await visit.page.goto(url);
    return visit;
  }

  // Files of web/ as they are on disk, without building again.
  async #serveFiles(folder) {
    await this.context.route(/\/web\/[\w.]+$/, (route) => {
      const name = path.basename(new URL(route.request().url()).pathname);
      return route.fulfill({ contentType: TYPES[path.extname(name)], body: readFileSync(path.join(folder, name)) });
    });
  }

  // The whole page has its first answers.
  async ready() {
    await this.page.waitForSelector('#audit :is(table, .empty)');
    await this.page.waitForSelector('#exporter .tag');
    await this.page.waitForFunction(() => !document.body.textContent.includes('Asking the exporter'));
  }

  text(selector) {
    return this.page.locator(selector).innerText();
  }

  // Waits until the text of an element contains this.
  async says(selector, text, timeout = 10_000) {
    await this.page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout });
  }

  async picture(name) {
    await this.page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
  }

  // No rule of accessibility that matters is broken, in either colour scheme.
  async checkAccess() {
    for (const colorScheme of ['light', 'dark']) {
      await this.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await this.page.evaluate(AXE);
      const found = await this.page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      const bad = found.violations
        .filter(({ impact }) => ['serious', 'critical'].includes(impact))
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n  ')}`);
      assert.deepEqual(bad, [], colorScheme);
    }
    await this.page.emulateMedia({ colorScheme: 'light' });
  }

  async checkWidth() {
    const { width, wanted } = await this.page.evaluate(() => ({ width: document.documentElement.clientWidth, wanted: document.documentElement.scrollWidth }));
    assert.ok(wanted <= width, `the page needs ${wanted} px and has ${width}`);
  }

  // Ends the visit: nothing went wrong that the test did not cause.
  async end() {
    await this.context.close();
    const surprising = this.errors.filter((error) => !this.expected.some((pattern) => pattern.test(error)));
    assert.deepEqual(surprising, []);
    assert.deepEqual(this.strangers, []);
  }
}
