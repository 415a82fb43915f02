// What people do on each page, one flow after the other. A flow that fails is told
// with its name, and the next one begins.
import assert from 'node:assert/strict';

const until = async (what, check, within = 20000) => {
  const end = Date.now() + within;
  let last;
  for (;;) {
    try {
      if (await check()) return;
      last = 'not so';
    } catch (e) {
      last = e.message;
    }
    if (Date.now() > end) throw new Error(`not within ${within / 1000} s: ${what}: ${last}`);
    await new Promise((r) => setTimeout(r, 100));
  }
};
const has = (page, words, where = 'main') => until(`${where} says ${JSON.stringify(words)}`, async () => (await page.locator(where).innerText()).includes(words));
const said = (page, words) => has(page, words, '#said');
const click = (page, name, where = 'main') => page.locator(where).getByRole('button', { name, exact: typeof name === 'string' }).first().click();
const yes = (page, name) => click(page, name, 'dialog[open]');
const go = async (page, path) => {
  await page.evaluate((p) => { location.hash = `#/${p}`; }, path);
  await page.locator('main h1').waitFor();
};

const all = {
  async 'a stranger logs in with the token, and out'({ browser, open, token, PAGE }) {
    const page = await open(browser, { link: PAGE, expected: ['401', '429'] });
    await has(page, 'skerry page');
    await page.getByLabel('Token').fill('a guess');
    await click(page, 'Log in');
    await until('the refusal is shown', async () => (await page.locator('.wrong').innerText()).length > 10);
    await until('the token lets one in', async () => {
      if (await page.getByLabel('Token').count()) {
        await page.getByLabel('Token').fill(token);
        await page.keyboard.press('Enter');
        await page.waitForTimeout(500);
      }
      return (await page.locator('h1').innerText()) === 'Overview';
    });
    await page.getByRole('button', { name: 'Log out' }).click();
    await has(page, 'Log in');
    await page.context().close();
  },

  async 'a link works once'({ browser, open, control }) {
    const link = await control('link');
    const first = await open(browser, { link });
    await has(first, 'Overview', 'h1');
    assert.equal(await first.evaluate(() => location.hash), '#/overview'); // the secret is gone
    const second = await open(browser, { link, expected: ['401', '429'] });
    await has(second, 'For a new link: skerry page');
    await Promise.all([first, second].map((p) => p.context().close()));
  },

  async 'overview: what needs attention leads there'({ page }) {
    await go(page, 'overview');
    await has(page, 'What needs attention');
    await has(page, 'records wait for history, which is away');
    await until('charts say in words what they show', async () => (await page.locator('figure svg').evaluateAll((all) => all.map((s) => s.getAttribute('aria-label')))).some((l) => /^Events, from .* lowest .*highest/.test(l)), 40000);
    await has(page, 'scale/weigh is stopped: error: Error: the scale');
    await page.locator('.needs a', { hasText: 'dead letters' }).click();
    await has(page, 'Dead letters', 'h1');
  },

  async 'functions: filter, and one of them alone'({ page }) {
    await go(page, 'functions');
    await page.keyboard.press('/');
    await page.keyboard.type('press');
    await until('one function is left', async () => await page.locator('tbody tr').count() === 1);
    await page.getByRole('link', { name: 'press/watch' }).click();
    await has(page, 'no valve opens at 320 bar');
    await has(page, 'office/summary'); // what is denied, and what would grant it
    await has(page, 'the office hears nothing'); // its log
    await page.getByRole('link', { name: 'Try it' }).click();
    await has(page, 'Dry run');
    assert.equal(await page.getByLabel('Function').inputValue(), 'press/watch');
  },

  async 'events: what comes is text, whatever it says'({ page, control }) {
    await go(page, 'events');
    await has(page, 'live');
    const evil = 'machines/<img src=x onerror=alert(1)>/vibration';
    await control('send', { topic: evil, data: '{"html":"<b>bold</b>"}' });
    await has(page, evil);
    assert.equal(await page.locator('main img, main b').count(), 0);
    await page.locator('button.row', { hasText: evil }).click();
    await has(page, '"html": "<b>bold</b>"', 'dialog');
    await yes(page, 'Hex');
    await has(page, '7b 22 68 74 6d 6c', 'dialog');
    assert.equal(await page.locator('dialog img, dialog b').count(), 0);
    await page.keyboard.press('Escape');
    await control('send', { topic: 'machines/\u202egnp.exe/vibration', data: '{"rms":1}' });
    await has(page, 'machines/·gnp.exe/vibration'); // and not /exe.png
    await until('the dialog is gone', async () => await page.locator('dialog').count() === 0);
  },

  async 'events: pause, filters, and the gap'({ page, control }) {
    await go(page, 'events');
    await page.locator('body').click({ position: { x: 5, y: 5 } });
    await control('send', { topic: 'machines/mill-1/vibration', data: '{"rms":1.1}' });
    await has(page, 'machines/mill-1/vibration');
    await page.keyboard.press(' ');
    await has(page, 'paused');
    for (let i = 0; i < 3; i++) await control('send', { topic: 'machines/mill-1/vibration', data: '{"rms":1.2}' });
    await has(page, '3 more came');
    await click(page, 'Go on');
    await has(page, '3 events not shown: the page was paused');
    await page.getByLabel('Text').fill('mill-1');
    await until('only those are left', async () => (await page.locator('.topic').allInnerTexts()).every((t) => t.includes('mill-1')));
    await page.getByLabel('Text').fill('');
    await page.getByLabel('Topic filter').fill('presses/#');
    await page.keyboard.press('Enter');
    await has(page, 'Waiting for events');
    await control('send', { topic: 'machines/mill-1/vibration', data: '{"rms":1.2}' });
    await control('send', { topic: 'presses/p1/pressure', data: '{"bar":199}' });
    await has(page, 'presses/p1/pressure');
    assert.deepEqual([...new Set(await page.locator('.topic').allInnerTexts())], ['presses/p1/pressure']);
    await page.getByLabel('Topic filter').fill('a/#/b');
    page.expected.push('400');
    await page.keyboard.press('Enter');
    await has(page, 'topic is no topic filter'); // the API's words
    await go(page, 'events?topic=presses/%23');
    await control('send', { topic: 'presses/p1/pressure', data: '{"bar":205}' });
    await page.locator('button.row', { hasText: '205' }).click();
    await yes(page, 'Try with this event');
    await has(page, 'Dry run');
    assert.equal(await page.getByLabel('Topic').inputValue(), 'presses/p1/pressure');
    assert.match(await page.getByRole('textbox', { name: 'Data' }).inputValue(), /"bar": 205/);
  },

  async 'forty functions of long names that fail: each is told, and all fits'({ browser, open }) {
    const page = await open(browser, { viewport: { width: 1280, height: 800 } });
    const long = 'a_word_without_any_break_'.repeat(8);
    await page.route('**/v1/status', async (route) => {
      const response = await route.fetch(), s = await response.json(), [f] = s.functions, [a] = s.sync.apps;
      s.functions = Array.from({ length: 40 }, (_, i) => ({ ...f, name: `a-rather-long-name-of-an-app/the-moving-average-of-compressor-${i}`, last_error: long, breaker: { state: 'open', failures: 9, cause: long, retry_at: new Date(Date.now() + 6e4) } }));
      s.sync.apps = [{ ...a, name: 'a-rather-long-name-of-an-app', version: '1.0.1-rc.20261122.build4711', state: 'failed', reason: long }];
      await route.fulfill({ response, json: s });
    });
    await go(page, 'overview');
    await until('each is told', async () => await page.locator('.needs li', { hasText: 'is stopped' }).count() === 40);
    await page.waitForTimeout(2500); // told again
    assert.equal(await page.locator('.needs li', { hasText: 'is stopped' }).count(), 40);
    for (const path of ['overview', 'functions', 'functions/a-rather-long-name-of-an-app/the-moving-average-of-compressor-7', 'deployments']) {
      await go(page, path);
      await has(page, 'a-rather-long-name');
      assert.equal(await page.evaluate(() => Math.max(...[...document.querySelectorAll('main, main *')].filter((e) => !e.closest('svg, .hear')).map((e) => e.getBoundingClientRect().right - innerWidth))) > 0, false, `${path} is wider than the window`);
    }
    await page.context().close();
  },

  async 'what is stopped, has no chart, or was said at length, in right words'({ browser, open }) {
    const page = await open(browser, { viewport: { width: 1280, height: 800 } });
    const retry = new Date(Date.now() - 6e4), long = 'a word '.repeat(400), app = 'downsample-of-the-west-wing';
    await page.route('**/v1/status', async (route) => {
      const response = await route.fetch(), s = await response.json(), [f] = s.functions, [a] = s.sync.apps;
      s.functions = [['idle', 0], ['busy', 2]].map(([name, queued]) => ({ ...f, name: `${app}/${name}`, queued, inbox: 0, breaker: { state: 'half-open', failures: 8, cause: 'the scale', retry_at: retry } }));
      s.sync.apps = [{ ...a, name: app, state: 'probation', until: new Date(Date.now() + 6e5), progress: { left_s: 600, runs: 1, min_runs: 20, error_percent: 0, max_error_percent: 10 } }];
      s.targets = [{ ...s.targets[0], name: 'plant', kind: 'broker', waiting: 3, breaker: {}, last_error: 'refused' }];
      await route.fulfill({ response, json: s });
    });
    await page.route('**/v1/history', async (route) => {
      const response = await route.fetch(), json = await response.json();
      json.functions = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [i ? `other/${i}` : `${app}/busy`, { runs: [1, 2], failures: [0, 0], waiting: [0, 0], memory_kib: [1, 1] }]));
      await route.fulfill({ response, json });
    });
    await page.route('**/v1/deadletters/list', (route) => route.fulfill({ json: { letters: [{ id: 1, queue: `inbox/${app}/idle`, function: `${app}/idle`, topic: 'x', reason: long, attempts: 5, size: 1, time: retry }] } }));
    await go(page, 'functions');
    await has(page, `${app}/idle is stopped: the scale. The next event tries.`);
    await has(page, `${app}/busy is stopped: the scale. One event tries now.`);
    await go(page, `functions/${app}/idle`);
    await has(page, 'There are charts of 32 functions; this is none of them.');
    await has(page, 'in a row: the scale. The next event tries.');
    await go(page, `functions/${app}/busy`);
    await until('charts', async () => await page.locator('figure').count() === 4);
    await go(page, 'deployments');
    await has(page, '1 run of at least 20');
    await go(page, 'deadletters');
    await page.locator('tbody tr').first().waitFor();
    assert.ok((await page.locator('tbody tr').first().boundingBox()).height < 120, 'a row of the list is as high as its reason is long');
    await go(page, 'overview');
    await has(page, '3 records wait for plant, which is away: refused');
    assert.equal(await page.locator('.needs a', { hasText: 'wait for plant' }).count(), 0, 'the outbox knows no brokers');
    assert.deepEqual(await page.evaluate(async () => { const { niceBytes } = await import('/chart.js'); return [7, 950, 1000, 3000].map(niceBytes); }), [8, 1024, 1024, 3072]);
    await until('the name of an app is not cut in the middle of a word', async () => (await page.locator('.checks strong', { hasText: app }).boundingBox()).height < 45);
    await page.context().close();
  },

  async 'try: a dry run, and one for real'({ page }) {
    await go(page, 'try?function=press/watch&topic=presses/p9/pressure');
    await page.getByRole('textbox', { name: 'Data' }).fill('{"bar": 207}');
    await click(page, 'Dry run');
    await has(page, 'committed');
    await has(page, 'central/history');
    await has(page, 'is at 207 bar');
    await page.getByRole('textbox', { name: 'Data' }).fill('{"bar": 999}');
    await click(page, 'Dry run');
    await has(page, 'no valve opens at 999 bar');
    await page.getByRole('textbox', { name: 'Data' }).fill('{"bar": 150}');
    await click(page, 'For real …');
    await has(page, 'every trigger that matches runs', 'dialog');
    await yes(page, 'Run for real');
    await has(page, '1 trigger took it');
  },

  async 'logs: level, function, text, pause'({ page, control }) {
    await go(page, 'logs');
    await has(page, 'the office hears nothing');
    await page.getByLabel('Level').selectOption('ERROR');
    await has(page, 'event dead-lettered');
    await until('no information is left', async () => !(await page.locator('.log').innerText()).includes('INFO'));
    await page.getByLabel('Level').selectOption('INFO');
    await page.getByLabel('Function').selectOption('vibration/vibration');
    await until('one function is left', async () => (await page.locator('.log a').allInnerTexts()).every((t) => t === 'vibration/vibration'));
    await page.getByLabel('Function').selectOption('');
    await page.getByLabel('Text').fill('no valve opens');
    await until('only that is left', async () => (await page.locator('.log li').allInnerTexts()).every((t) => t.includes('no valve opens')));
    await page.getByLabel('Text').fill('');
    await click(page, 'Pause');
    await has(page, 'paused');
    await control('send', { topic: 'presses/p7/pressure', data: '{"bar":"odd"}' });
    await has(page, 'more came');
    await click(page, 'Go on');
    await has(page, 'presses/p7/pressure');
  },

  async 'deployments: sync, probation, roll back'({ page, control }) {
    await go(page, 'deployments');
    await has(page, 'overheat');
    await control('update');
    await click(page, 'Sync now');
    await said(page, 'Looked: fleet');
    await has(page, '1.0.0 → 1.1.0');
    await has(page, 'LIMIT');
    await page.getByRole('meter', { name: 'Probation' }).first().waitFor();
    await click(page, 'Roll back …');
    await has(page, 'overheat goes back from 1.1.0 to 1.0.0', 'dialog');
    await yes(page, 'Roll back');
    await said(page, 'overheat goes back');
    await has(page, '1.1.0 → 1.0.0');
    await click(page, 'Try again …');
    await yes(page, 'Try again');
    await said(page, 'overheat is tried again');
  },

  async 'outbox: why, one record, pause, drop'({ page }) {
    await go(page, 'outbox');
    await page.getByRole('link', { name: 'Why, and what waits for history' }).click();
    await has(page, 'Target history has failed');
    await page.locator('tbody button').first().click();
    await has(page, '"bar":', 'dialog');
    await yes(page, 'Drop …');
    await yes(page, 'Drop');
    await said(page, '1 record dropped');
    await click(page, 'Pause …');
    await yes(page, 'Pause');
    await has(page, 'paused');
    await click(page, 'Resume');
    await said(page, 'history goes on');
    await click(page, 'Retry now');
    await said(page, 'history is tried now');
    await page.getByRole('combobox', { name: 'Priority' }).selectOption('9');
    await has(page, 'Nothing waits.');
    await page.getByRole('combobox', { name: 'Priority' }).selectOption('');
    await click(page, 'Drop these …');
    await page.keyboard.press('Escape'); // nothing is dropped then
    await until('the dialog is gone', async () => await page.locator('dialog').count() === 0);
    await page.locator('tbody tr').first().waitFor();
  },

  async 'dead letters: mend one, drop one, and what the agent says against it'({ page }) {
    await go(page, 'deadletters');
    await page.getByLabel('Function').selectOption('press/watch');
    const reasons = () => page.locator('tbody tr').allInnerTexts();
    await until('only those are left', async () => (await reasons()).every((t) => t.includes('press/watch')));
    const before = (await reasons()).length;
    await page.locator('tbody tr', { hasText: 'no number "bar"' }).first().getByRole('button').click();
    await page.getByText('Mend the data').click();
    await page.getByLabel('Data to send back').fill('{"bar": 140}');
    await yes(page, 'Send back');
    await said(page, 'sent back with other data');
    await until('it is gone', async () => (await reasons()).length === before - 1);
    await page.locator('tbody button').first().click();
    await page.locator('dialog').waitFor();
    const id = Number((await page.locator('dialog h2').innerText()).replace(/\D/g, ''));
    await page.evaluate((n) => fetch('v1/deadletters/drop', { method: 'POST', headers: { 'Content-Type': 'application/json', 'Skerry-Key': localStorage.getItem('skerry-key') }, body: JSON.stringify({ ids: [n] }) }), id);
    await yes(page, 'Send back');
    await has(page, `there is no dead letter ${id}`, '#alerts');
    await click(page, 'Close this message', '#alerts');
    await page.getByLabel('Function').selectOption('');
    await page.locator('tbody button').first().click();
    await yes(page, 'Drop …');
    await yes(page, 'Drop');
    await said(page, '1 letter dropped');
  },

  async 'theme: the choice is kept'({ page }) {
    const look = () => page.evaluate(() => [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]);
    await page.locator('#theme').click();
    assert.equal((await look())[0], 'light');
    await page.locator('#theme').click();
    const [name, dark] = await look();
    assert.equal(name, 'dark');
    await page.reload();
    await page.locator('main h1').waitFor();
    assert.deepEqual(await look(), ['dark', dark]);
    await page.locator('#theme').click();
    assert.equal((await look())[0], undefined);
  },

  async 'a hidden page asks nothing'({ page }) {
    const show = (hidden) => page.evaluate((h) => {
      Object.defineProperty(document, 'hidden', { get: () => h, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    for (const path of ['outbox/history', 'deployments', 'events']) {
      await go(page, path);
      await page.waitForTimeout(500);
      await show(true);
      await page.waitForTimeout(300);
      const asked = [];
      const note = (r) => asked.push(r.url());
      page.on('request', note);
      await page.waitForTimeout(5200);
      page.off('request', note);
      assert.deepEqual(asked, []);
      await show(false);
    }
    await has(page, 'nobody looked at this page');
    await page.evaluate(() => { delete document.hidden; });
  },

  async 'the keyboard alone'({ page }) {
    await page.goto('about:blank');
    await page.goBack();
    await page.locator('main h1').waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'skip');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    for (const [key, title] of [['f', 'Functions'], ['e', 'Events'], ['l', 'Logs'], ['d', 'Deployments'], ['b', 'Outbox'], ['x', 'Dead letters'], ['t', 'Try'], ['o', 'Overview']]) {
      await page.evaluate(() => document.activeElement.blur());
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await has(page, title, 'h1');
      await page.waitForTimeout(300);
      await tabThrough(page, title);
    }
    await page.keyboard.press('?');
    await has(page, 'Keys', 'dialog');
    await page.keyboard.press('Escape');
    await page.keyboard.press('g');
    await page.keyboard.press('x');
    await page.locator('tbody button').first().focus();
    const opener = await page.evaluate(() => document.activeElement.textContent);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), opener);
    await page.keyboard.press('Enter');
    await page.locator('dialog').waitFor();
    await page.keyboard.press('Escape');
    await until('focus is where it was', async () => await page.evaluate(() => document.activeElement.textContent) === opener);
  },

  async 'colours and names'({ page, wrong, pages }) {
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme });
      for (const path of pages) {
        await go(page, path);
        await page.waitForTimeout(400);
        for (const w of await page.evaluate(look)) wrong.push(`${path} (${scheme}): ${w}`);
      }
    }
    await page.emulateMedia({ colorScheme: 'light' });
  },

  async 'the agent goes away and comes back'({ page, control, token }) {
    await go(page, 'overview');
    page.expected.push('Failed to load resource', 'ERR_');
    await control('freeze');
    await has(page, 'The agent is away', '#away');
    assert.ok(await page.evaluate(() => document.body.classList.contains('gone')));
    await has(page, 'What needs attention'); // the last that was known
    await control('thaw');
    await until('it is back', async () => await page.locator('.banner').count() === 0, 30000);
    await control('stop');
    await has(page, 'The agent is away', '#away');
    await control('start');
    await until('it wants to know who is there', async () => await page.getByLabel('Token').count() > 0, 30000);
    assert.equal(await page.locator('.banner').count(), 0, 'who asks for a login is not away');
    assert.equal(await page.evaluate(() => document.body.classList.contains('gone')), false);
    assert.equal((await page.locator('#tools').innerText()).includes('live'), false);
    await page.getByLabel('Token').fill(token);
    await page.keyboard.press('Enter');
    await has(page, 'Overview', 'h1');
    await until('the banner is gone', async () => await page.locator('.banner').count() === 0);
  },

  async 'a page for looking only'({ browser, open, control }) {
    await control('stop');
    await control('looking');
    await control('start');
    const page = await open(browser, {});
    await has(page, 'for looking only', '#tools');
    await go(page, 'deadletters');
    await until('nothing can be dropped', async () => await page.getByRole('button', { name: 'Drop all …' }).isDisabled());
    await go(page, 'try?function=press/watch');
    page.expected.push('403');
    await click(page, 'Dry run');
    await has(page, 'this page is for looking only');
    await page.context().close();
  },
};
const last = new Set(['the agent goes away and comes back', 'a page for looking only']);

// tabThrough goes once around, and asks that focus is seen everywhere.
async function tabThrough(page, title) {
  const seen = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const on = await page.evaluate(() => {
      const a = document.activeElement;
      if (a === document.body) return null;
      const s = getComputedStyle(a), box = a.getBoundingClientRect();
      a.dataset.nth ??= String(Math.random());
      return { nth: a.dataset.nth, what: a.outerHTML.slice(0, 120), shown: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2, there: box.width > 0 && box.bottom > 0 && box.top < innerHeight };
    });
    if (!on) continue; // between the end and the beginning
    if (seen.has(on.nth)) break;
    seen.add(on.nth);
    assert.ok(on.shown && on.there, `${title}: focus is not seen on ${on.what}`);
  }
  assert.ok(seen.size > 10, `${title}: Tab reaches ${seen.size} things`);
}

// look runs in the page: contrast of what is written (WCAG AA), names of controls, ids.
function look() {
  const out = [];
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (c) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = c;
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (el) => {
    if (!el) return [255, 255, 255, 1];
    const c = rgba(getComputedStyle(el).backgroundColor);
    return c[3] === 1 ? c : over(c, ground(el.parentElement));
  };
  const light = (c) => c.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const el = texts.currentNode.parentElement, box = el.getBoundingClientRect();
    if (!texts.currentNode.nodeValue.trim() || !box.width || el.closest('.hear, :disabled, noscript')) continue;
    const below = ground(el), top = over(rgba(getComputedStyle(el).color), below);
    const [a, b] = [light(top), light(below)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) out.push(`contrast ${((a + 0.05) / (b + 0.05)).toFixed(2)} of ${JSON.stringify(texts.currentNode.nodeValue.slice(0, 40))} (${el.className})`);
  }
  for (const el of document.querySelectorAll('button, a, input, select, textarea, svg[role=img]')) {
    const name = el.getAttribute('aria-label') || el.textContent.trim() || el.labels?.[0]?.textContent;
    if (!name) out.push(`no name: ${el.outerHTML.slice(0, 100)}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  if (new Set(ids).size !== ids.length) out.push('an id is there twice');
  if (document.querySelectorAll('h1').length !== 1) out.push(`${document.querySelectorAll('h1').length} headings of level 1`);
  return [...new Set(out)];
}

// flows goes through those that leave the agent running, or through the last ones.
export async function flows(rig, ending) {
  const only = process.env.FLOW;
  let page = await rig.open(rig.browser, {});
  for (const [name, flow] of Object.entries(all)) {
    if (last.has(name) !== ending || only && !name.includes(only)) continue;
    const begun = Date.now();
    try {
      await flow({ ...rig, page });
    } catch (e) {
      rig.wrong.push(`${name}: ${e.stack}`);
      await page.screenshot({ path: `${rig.SHOTS}/wrong-${name.replace(/\W+/g, '-')}.png` });
      await page.context().close();
      page = await rig.open(rig.browser, {});
    }
    console.log(`${name}: ${((Date.now() - begun) / 1000).toFixed(1)} s`);
  }
  await page.context().close();
}
