// Goes through the page as people do, and fails with what is not as it should be.
// PAGE is where it is, TOKEN lets one in, CONTROL works the plant behind it, SHOTS is a
// folder for screenshots, PLAYWRIGHT the package.
import { createRequire } from 'node:module';
import { mkdirSync } from 'node:fs';
import { flows } from './flows.mjs';

const { PAGE, CONTROL, SHOTS, PLAYWRIGHT, TOKEN } = process.env;
const { chromium } = createRequire(import.meta.url)(PLAYWRIGHT);
mkdirSync(SHOTS, { recursive: true });

const wrong = [];
const control = async (what, body) => {
  const resp = await fetch(`${CONTROL}/${what}`, { method: 'POST', body: body && JSON.stringify(body) });
  const text = await resp.text();
  if (!resp.ok) throw new Error(`${what}: ${text}`);
  return text;
};

const forms = [
  ['light', { colorScheme: 'light', viewport: { width: 1280, height: 800 } }],
  ['dark', { colorScheme: 'dark', viewport: { width: 1280, height: 800 } }],
  ['phone', { colorScheme: 'light', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }],
];
const pages = ['overview', 'functions', 'functions/press/watch', 'events', 'logs', 'deployments', 'outbox', 'outbox/history', 'deadletters', 'try'];

// open makes a page whose every complaint is taken down. expected are texts of
// console messages that belong to what is tried.
async function open(browser, { link, expected = [], ...options }) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.expected = expected;
  page.bytes = 0;
  page.on('console', (m) => {
    if (['error', 'warning'].includes(m.type()) && !page.expected.some((e) => m.text().includes(e))) wrong.push(`console: ${m.text()} (${m.location().url})`);
  });
  page.on('pageerror', (e) => wrong.push(`error in the page: ${e.stack}`));
  page.on('request', (r) => {
    if (new URL(r.url()).host !== new URL(PAGE).host && !r.url().startsWith('data:')) wrong.push(`a request to another host: ${r.url()}`);
  });
  await page.addInitScript(() => addEventListener('securitypolicyviolation', (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}`)));
  await page.goto(link ?? await control('link'));
  if (!link) await page.locator('main h1').waitFor();
  return page;
}

// photograph keeps all pages in one form.
async function photograph(name, options) {
  const page = await open(browser, options);
  for (const path of pages) {
    await page.goto(`${PAGE}#/${path}`);
    await page.locator('main h1').waitFor();
    if (path === 'events') {
      for (let i = 0; i < 24; i++) await control('send', { topic: `sensors/line-${i % 3 + 1}/s${i % 5}/temperature`, data: JSON.stringify({ id: `s${i % 5}`, seq: 100 + i, temperature: 60 + i }) });
      await page.locator('.events li').first().waitFor();
    }
    await page.waitForTimeout(700);
    const [wide, high] = await page.evaluate(() => [document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight]);
    if (wide > 0) wrong.push(`${path} (${name}) is ${wide} px wider than the window`);
    await page.screenshot({ path: `${SHOTS}/${name}-${path.replaceAll('/', '-')}.png`, fullPage: true, clip: { x: 0, y: 0, width: options.viewport.width, height: Math.min(high, 3000) } });
  }
  await page.context().close();
}

const steps = new Set((process.env.STEPS ?? 'shots,flows').split(','));
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: process.getuid() ? [] : ['--no-sandbox'] });
try {
  const rig = { browser, open, control, wrong, pages, PAGE, SHOTS, token: TOKEN };
  if (steps.has('flows')) await flows(rig, false);
  if (steps.has('shots')) for (const [name, options] of forms) await photograph(name, options);
  if (steps.has('flows')) await flows(rig, true);
} catch (e) {
  wrong.push(e.stack);
} finally {
  await browser.close();
}
if (wrong.length) {
  console.error([...new Set(wrong)].join('\n'));
  process.exit(1);
}
