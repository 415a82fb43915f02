// The way in: a link of skerry page, or the token of page.token_file.
import { button, field, h } from './dom.js';
import { post } from './api.js';

export function login(why, entered) {
  const token = h('input', { type: 'password', name: 'token', required: true, autocomplete: 'current-password', spellcheck: 'false', autofocus: true });
  const send = async (e) => {
    e.preventDefault();
    const form = e.currentTarget, wrong = form.querySelector('.wrong'), input = form.querySelector('input');
    wrong.textContent = '';
    try {
      await post('login', { token: input.value.trim() });
      input.value = '';
      entered();
    } catch (err) {
      wrong.textContent = err.message;
      input.select();
    }
  };
  return h('section', { class: 'panel login' }, h('h1', null, 'Log in'),
    h('p', null, 'On the device, ', h('code', null, 'skerry page'), ' prints a link that lets you in. Or type the token that stands in the file of ', h('code', null, 'page.token_file'), '.'),
    h('form', { onsubmit: send }, field('Token', token), h('p', { class: 'wrong', role: 'alert', keep: true }, why ?? ''), button('Log in', null, { type: 'submit', class: 'primary' })));
}
