// Draws every dashboard into a PNG: draw.mjs ANSWERS.json DASHBOARDS OUT BROWSER
// Fails on an error of the page, and on a panel that has data and shows nothing.

import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { build } from 'esbuild';
import puppeteer from 'puppeteer-core';

const [answersFile, dashboards, out, executablePath] = process.argv.slice(2);
const here = path.dirname(fileURLToPath(import.meta.url));

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
// Wider and higher than any dashboard: tables draw only what is in sight.
const SIGHT = { width: 1592, height: 6000 };
const SETTLE_MS = 30_000;
const OPEN_MS = 120_000;
// The smallest share of a panel's pixels that are not of its background.
const LEAST = 0.004;

// Editors of code, which no panel shows, are more than half of the components' weight.
const without = {
  name: 'without',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(react-)?monaco-editor/ }, ({ path: name }) => ({ path: name, namespace: 'none' }));
    onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: 'module.exports = {};' }));
  },
};

async function bundle(folder) {
  await build({
    entryPoints: [path.join(here, 'page.jsx')],
    outfile: path.join(folder, 'page.js'),
    bundle: true,
    format: 'iife',
    jsx: 'automatic',
    minify: true,
    plugins: [without],
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.png': 'dataurl' },
  });
}

// Where on the page each panel shows its data, and which panels say that there is none.
function places(uid) {
  const element = document.getElementById(uid);
  const board = element.getBoundingClientRect();
  return [...element.querySelectorAll('[data-title]:not([data-kind="row"])')].map((panel) => {
    const inside = panel.querySelector('[data-testid="data-testid panel content"]');
    const { left, top, width, height } = inside.getBoundingClientRect();
    return {
      title: panel.dataset.title,
      empty: Boolean(panel.querySelector('.no-data')),
      at: [left - board.left, top - board.top, width, height].map(Math.round),
    };
  });
}

// The places on a picture that hardly have more than one colour: nothing is drawn there.
async function blank(picture, found, least) {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
  context.drawImage(image, 0, 0);
  return found.filter(({ at }) => {
    const pixels = new Uint32Array(context.getImageData(...at).data.buffer);
    const counts = new Map();
    pixels.forEach((pixel) => counts.set(pixel, (counts.get(pixel) ?? 0) + 1));
    return 1 - Math.max(...counts.values()) / pixels.length < least;
  });
}

// The picture of a board once every panel that has data shows some of it, or when time is over.
async function settled(page, uid, board) {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    await page.waitForNetworkIdle({ idleTime: 500, timeout: SETTLE_MS });
    const picture = await board.screenshot();
    const found = await page.evaluate(places, uid);
    const shown = found.filter(({ empty }) => !empty);
    const encoded = Buffer.from(picture).toString('base64');
    const nothing = await page.evaluate(blank, encoded, shown, LEAST);
    if (!nothing.length || Date.now() > deadline) {
      return { picture, nothing, found };
    }
  }
}

async function drawn(page, errors, document, told) {
  errors.length = 0;
  await page.evaluate((board, answers) => window.draw(board, answers), document, told);
  const board = await page.waitForSelector(`#${document.uid}`, { timeout: SETTLE_MS }).catch(() => {
    throw new Error(`${document.uid} is not drawn: ${errors.join('\n')}`);
  });
  const { picture, nothing, found } = await settled(page, document.uid, board);
  await writeFile(path.join(out, `${document.uid.replace('trading-', '')}.png`), picture);
  const wrong = [...errors, ...nothing.map(({ title }) => `${title}: nothing is drawn`)];
  return { uid: document.uid, empty: found.filter((p) => p.empty).map((p) => p.title), wrong };
}

// A page that holds the components; errors of its scripts go into `errors`.
async function opened(browser, folder, errors) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => errors.push(error.stack));
  page.setDefaultTimeout(OPEN_MS);
  await page.setViewport(SIGHT);
  await page.goto(pathToFileURL(path.join(folder, 'page.html')));
  return page;
}

async function main() {
  const told = JSON.parse(await readFile(answersFile, 'utf8'));
  const folder = await mkdtemp(path.join(tmpdir(), 'panels-'));
  await mkdir(out, { recursive: true });
  await bundle(folder);
  await copyFile(path.join(here, 'page.html'), path.join(folder, 'page.html'));
  const browser = await puppeteer.launch({
    executablePath,
    args: FLAGS,
    userDataDir: path.join(folder, 'profile'),
  });
  const errors = [];
  let wrong = 0;
  try {
    const page = await opened(browser, folder, errors);
    for (const file of (await readdir(dashboards)).filter((name) => name.endsWith('.json'))) {
      const document = JSON.parse(await readFile(path.join(dashboards, file), 'utf8'));
      const found = await drawn(page, errors, document, told);
      console.log(`${found.uid}: ${found.wrong.length} errors; no data: [${found.empty.join(', ')}]`);
      found.wrong.forEach((error) => console.log(`  ${error}`));
      wrong += found.wrong.length;
    }
  } finally {
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  }
  process.exitCode = wrong ? 1 : 0;
}

await main();
