// The page works without this file; with it, changes show as they come, forms
// are sent without leaving the page, and the command box helps.
'use strict';
(() => {
  const root = document.documentElement;
  const body = document.body;
  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const scroller = find('#scroll');
  const command = find('#command');

  // ---- What has been shown, as the server sent it -------------------------

  const came = new WeakMap();
  for (const part of all('[data-fragment]')) {
    came.set(part, part.innerHTML);
    if (part.hasAttribute('data-list')) for (const child of part.children) came.set(child, child.outerHTML);
  }

  const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  const toEnd = () => { scroller.scrollTop = scroller.scrollHeight; };

  // Where the focus is, in words that find the same place in a newer copy.
  function placeOf(element) {
    if (!element || element === body) return null;
    const dialog = element.closest('dialog');
    const message = element.closest('[data-ts]');
    const within = dialog ? `dialog[data-view="${CSS.escape(dialog.dataset.view || '')}"]`
      : message ? `[data-ts="${CSS.escape(message.dataset.ts)}"]` : '';
    let what = '';
    if (element.id) what = '#' + CSS.escape(element.id);
    else if (element.dataset.fault) what = `[data-fault="${CSS.escape(element.dataset.fault)}"]`;
    else if (element.dataset.actionId) what = `[data-action-id="${CSS.escape(element.dataset.actionId)}"]`;
    else if (element.dataset.user) what = `[data-user="${CSS.escape(element.dataset.user)}"]`;
    else if (element.dataset.channel) what = `[data-channel="${CSS.escape(element.dataset.channel)}"]`;
    else if (element.name && element.value) what = `[name="${CSS.escape(element.name)}"][value="${CSS.escape(element.value)}"]`;
    return { within, what, start: element.selectionStart, end: element.selectionEnd };
  }

  function focusAt(place) {
    if (!place) return false;
    const whole = place.within ? find(place.within) : document;
    const target = (place.what && whole && find(place.what, whole)) || (place.within && whole);
    if (!target || !target.focus) return false;
    target.focus({ preventScroll: true });
    try {
      if (place.start != null && target.setSelectionRange) target.setSelectionRange(place.start, place.end);
    } catch { /* not a text input */ }
    return document.activeElement === target;
  }

  // What somebody is filling in outlives a newer copy of the form.
  function carry(from, to) {
    for (const old of all('[name^="v/"]', from)) {
      const same = `[name="${CSS.escape(old.name)}"]`;
      if (old.type === 'checkbox' || old.type === 'radio') {
        const now = all(same, to).find((one) => one.value === old.value);
        if (now && old.checked !== old.defaultChecked) now.checked = old.checked;
        continue;
      }
      const now = find(same, to);
      if (!now) continue;
      if (old.tagName === 'SELECT') {
        const changed = [...old.options].some((o) => o.selected !== o.defaultSelected);
        const chosen = new Set([...old.selectedOptions].map((o) => o.value));
        if (changed) for (const o of now.options) o.selected = chosen.has(o.value);
      } else if (old.value !== old.defaultValue) {
        now.value = old.value;
      }
    }
  }

  const fading = new Map();
  function mark(element, word) {
    const cell = element.matches('tr') ? element.cells[0] : element;
    const badge = document.createElement('span');
    badge.className = 'fresh-mark';
    badge.textContent = word;
    cell.append(' ', badge);
    element.classList.add('fresh');
    clearTimeout(fading.get(element.dataset.key));
    fading.set(element.dataset.key, setTimeout(() => {
      element.classList.remove('fresh');
      badge.remove();
    }, 6000));
    if (body.dataset.pane === 'chat') for (const news of all('#panes .news')) news.hidden = false;
  }

  let first = true; // the first events repeat what is on the page already
  function list(part, fresh) {
    const byKey = new Map([...part.children].map((child) => [child.dataset.key, child]));
    const marking = part.hasAttribute('data-mark') && !first;
    const said = [];
    let changed = false;
    let at = part.firstElementChild;
    for (const next of [...fresh.children]) {
      const html = next.outerHTML;
      const old = byKey.get(next.dataset.key);
      byKey.delete(next.dataset.key);
      if (old && came.get(old) === html) {
        if (old === at) at = at.nextElementSibling;
        else part.insertBefore(old, at);
        continue;
      }
      changed = true;
      came.set(next, html);
      if (old) {
        carry(old, next);
        if (old === at) at = at.nextElementSibling;
        old.remove();
      }
      part.insertBefore(next, at);
      if (next.dataset.say) said.push(next.dataset.say);
      if (marking && next.dataset.key !== 'none') mark(next, old ? 'changed' : 'new');
      if (!first && !old && part.closest('details')) part.closest('details').open = true;
    }
    for (const gone of byKey.values()) {
      gone.remove();
      changed = true;
    }
    return { changed, said };
  }

  function show(id, html) {
    const part = document.getElementById(id);
    if (!part) return;
    const fresh = document.createElement('template');
    fresh.innerHTML = html;
    const focus = part.contains(document.activeElement) ? placeOf(document.activeElement) : null;
    if (!part.hasAttribute('data-list')) {
      if (came.get(part) === fresh.innerHTML) return;
      came.set(part, fresh.innerHTML);
      part.replaceChildren(fresh.content);
      if (focus) focusAt(focus);
      return;
    }
    const stay = id === 'timeline' && atEnd();
    const { changed, said } = list(part, fresh.content);
    if (!changed) return;
    if (id === 'timeline') {
      if (stay) toEnd();
      else if (said.length) find('#newer').hidden = false;
      if (said.length && !first) find('#announce').textContent = said.join('\n');
    }
    if (id === 'views') openDialogs();
    if (focus && !part.contains(document.activeElement)) focusAt(focus);
  }

  // ---- Dialogs ------------------------------------------------------------

  let opener = null; // where the focus was before the first form opened

  function openDialogs() {
    const dialogs = all('#views dialog');
    if (dialogs.length && !opener) opener = placeOf(document.activeElement);
    if (dialogs.some((d) => !d.matches(':modal'))) {
      for (const d of dialogs) {
        if (d.open) d.close();
        d.showModal();
      }
      const now = document.activeElement;
      if (now && now.matches('textarea, input[type="text"]')) now.setSelectionRange(now.value.length, now.value.length);
      const question = find('#confirm dialog');
      if (question && question.open) {
        question.close();
        question.showModal();
      }
    }
    if (!dialogs.length && opener) {
      if (!focusAt(opener) && command) command.focus();
      opener = null;
    }
  }

  function ask(html) {
    const holder = find('#confirm');
    const before = placeOf(document.activeElement);
    if (html) holder.innerHTML = html;
    const dialog = find('dialog', holder);
    if (!dialog) return;
    dialog.removeAttribute('open');
    dialog.showModal();
    find('.deny', dialog).addEventListener('click', (event) => {
      event.preventDefault();
      dialog.close();
    });
    dialog.addEventListener('close', () => {
      if (dialog.open) return; // put on top again meanwhile
      dialog.remove();
      focusAt(before);
    });
  }

  document.addEventListener('cancel', (event) => { // Esc
    const dialog = event.target;
    if (!dialog.matches || !dialog.matches('#views dialog')) return;
    const close = find('.close', dialog);
    if (close) send(find('form', dialog), close);
  }, true);

  // ---- Forms --------------------------------------------------------------

  let hiding;
  function trouble(text) {
    const place = find('#trouble');
    place.textContent = text;
    clearTimeout(hiding);
    hiding = setTimeout(() => { place.textContent = ''; }, 12000);
  }

  async function send(form, button) {
    const data = new URLSearchParams(new FormData(form, button));
    const composing = form.id === 'composer'; // one command need not wait for another
    if (button && !composing) {
      if (button.getAttribute('aria-busy')) return;
      button.setAttribute('aria-busy', 'true');
    }
    const typed = composing ? command.value : '';
    if (typed) {
      remember(typed);
      command.value = '';
      hide();
    }
    if (form.closest('#confirm')) find('#confirm dialog').close();
    try {
      const response = await fetch(form.getAttribute('action'), {
        method: 'POST', body: data, headers: { Accept: 'application/json' }, credentials: 'same-origin',
      });
      if (!response.ok) throw new Error(await response.text());
      const answer = await response.json();
      if (answer.dialog) ask(answer.dialog);
      if (answer.keep && command && !command.value) command.value = typed;
    } catch (error) {
      if (typed && command && !command.value) command.value = typed;
      trouble('That could not be sent. ' + error.message);
    } finally {
      if (button) button.removeAttribute('aria-busy');
    }
  }

  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!form.hasAttribute('data-live')) return;
    event.preventDefault();
    send(form, event.submitter);
  });

  document.addEventListener('change', (event) => {
    const control = event.target;
    if (!control.hasAttribute || !control.hasAttribute('data-dispatch') || control.matches('[type="text"],[type="email"],[type="number"]')) return;
    sendChoice(control);
  });

  function sendChoice(control) {
    const button = all('[data-sends]', control.form)
      .find((one) => one.dataset.sends === control.dataset.actionId && one.value === control.name.slice(2));
    if (button) send(control.form, button);
  }

  document.addEventListener('keydown', (event) => {
    const control = event.target;
    if (event.key !== 'Enter' || event.isComposing || !control.matches || !control.matches('input[name^="v/"]')) return;
    if (control.hasAttribute('data-dispatch')) {
      event.preventDefault();
      sendChoice(control);
    } else if (!control.closest('dialog')) {
      event.preventDefault(); // Enter presses no button of a message
    }
  });

  document.addEventListener('click', (event) => {
    for (const menu of all('details.menu[open]')) if (!menu.contains(event.target) || event.target.closest('.menu-items')) menu.open = false;
  });

  // ---- The command box ----------------------------------------------------

  const hints = find('#hints');
  const options = hints ? all('[role="option"]', hints) : [];
  let offered = [];
  let active = -1;

  function hide() {
    if (!hints) return;
    hints.hidden = true;
    offered = [];
    active = -1;
    command.setAttribute('aria-expanded', 'false');
    command.removeAttribute('aria-activedescendant');
  }

  function choose(index) {
    active = index;
    offered.forEach((one, i) => one.setAttribute('aria-selected', String(i === index)));
    if (index < 0) {
      command.removeAttribute('aria-activedescendant');
      return;
    }
    command.setAttribute('aria-activedescendant', offered[index].id);
    offered[index].scrollIntoView({ block: 'nearest' });
  }

  // Matching is by what stands before the caret: a name after @, or the
  // command from the beginning of the line.
  function offer() {
    const before = command.value.slice(0, command.selectionStart).toLowerCase();
    const name = /(?:^|\s)(@[^\s]*)$/.exec(before);
    const starts = before.startsWith('/') && !name;
    offered = [];
    for (const one of options) {
      const key = one.dataset.key.toLowerCase();
      const fits = name && one.dataset.kind === 'person' ? key.startsWith(name[1])
        : starts && one.dataset.kind === 'command' && (key.startsWith(before) || before.startsWith(key + ' ') && !options.some((other) => {
          const longer = other.dataset.key.toLowerCase();
          return longer.length > key.length && (before + ' ').startsWith(longer + ' ');
        }));
      one.hidden = !fits;
      one.setAttribute('aria-selected', 'false');
      if (fits) offered.push(one);
    }
    if (!offered.length) {
      hide();
      return;
    }
    hints.hidden = false;
    command.setAttribute('aria-expanded', 'true');
    choose(-1);
  }

  function complete(one) {
    const at = command.selectionStart;
    const before = command.value.slice(0, at);
    const after = command.value.slice(at);
    const kept = one.dataset.kind === 'person' ? before.replace(/@[^\s]*$/, '') : '';
    const text = kept + one.dataset.insert + ' ';
    command.value = text + after.replace(/^\s+/, '');
    command.setSelectionRange(text.length, text.length);
    command.focus();
    offer();
  }

  // True when choosing the hint would change nothing that is typed.
  const typedAlready = (one) => one.dataset.kind === 'command' &&
    (command.value.toLowerCase() + ' ').startsWith(one.dataset.insert.toLowerCase() + ' ') && command.value.length > one.dataset.insert.length;

  const store = 'commands of ' + body.dataset.as;
  let past = [];
  try { past = JSON.parse(sessionStorage.getItem(store)) || []; } catch { /* no memory, no harm */ }
  let back = past.length;
  function remember(text) {
    past = past.filter((one) => one !== text).concat(text).slice(-50);
    back = past.length;
    try { sessionStorage.setItem(store, JSON.stringify(past)); } catch { /* the same */ }
  }

  if (command) {
    command.addEventListener('input', () => { back = past.length; offer(); });
    command.addEventListener('blur', () => setTimeout(hide, 150));
    command.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      const open = offered.length > 0;
      switch (event.key) {
        case 'ArrowDown':
        case 'ArrowUp': {
          const step = event.key === 'ArrowDown' ? 1 : -1;
          if (open) {
            choose(active < 0 && step < 0 ? offered.length - 1 : (active + step + offered.length) % offered.length);
          } else if (past.length && (command.value === '' || command.value === past[back])) {
            back = Math.min(past.length, Math.max(0, back + step));
            command.value = past[back] || '';
          } else {
            return;
          }
          event.preventDefault();
          break;
        }
        case 'Tab': {
          const one = offered[Math.max(active, 0)];
          if (event.shiftKey || !one || typedAlready(one)) return;
          event.preventDefault();
          complete(one);
          break;
        }
        case 'Enter':
          if (open && active >= 0 && !typedAlready(offered[active])) {
            event.preventDefault();
            complete(offered[active]);
          }
          break;
        case 'Escape':
          if (open) {
            event.preventDefault();
            hide();
          }
          break;
      }
    });
    hints.addEventListener('mousedown', (event) => {
      const one = event.target.closest('[role="option"]');
      if (!one) return;
      event.preventDefault();
      complete(one);
    });
  }

  // ---- The parts of a small screen ----------------------------------------

  function pane(name) {
    body.dataset.pane = name;
    for (const link of all('[data-pane-link]')) {
      if (link.dataset.paneLink === name) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
    if (name === 'tenants') for (const news of all('#panes .news')) news.hidden = true;
    else toEnd();
  }
  for (const link of all('[data-pane-link]')) {
    link.addEventListener('click', (event) => {
      event.preventDefault();
      pane(link.dataset.paneLink);
    });
  }
  for (const skip of all('.skip')) {
    skip.addEventListener('click', () => pane(skip.hash === '#tenants' ? 'tenants' : 'chat'));
  }
  if (location.hash === '#tenants') pane('tenants');

  find('#newer').addEventListener('click', () => {
    toEnd();
    find('#newer').hidden = true;
    if (command) command.focus();
  });
  let stuck = true; // at the end, and meant to stay there
  scroller.addEventListener('scroll', () => {
    stuck = atEnd();
    if (stuck) find('#newer').hidden = true;
  });
  new ResizeObserver(() => { if (stuck && body.dataset.here !== 'home') toEnd(); }).observe(scroller);

  // ---- Beginning ----------------------------------------------------------

  find('#as [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  if (body.dataset.here !== 'home') toEnd();
  openDialogs();
  ask('');
  if (command && command.value) {
    command.focus();
    command.setSelectionRange(command.value.length, command.value.length);
  }

  const opening = find('#home-open');
  if (opening) send(opening, null);

  const events = new EventSource(body.dataset.events);
  events.addEventListener('ready', () => {
    root.dataset.live = 'yes';
    first = false;
  });
  events.addEventListener('error', () => { root.dataset.live = 'no'; });
  events.addEventListener('fragment', (event) => {
    const { id, html } = JSON.parse(event.data);
    show(id, html);
  });
  addEventListener('pagehide', () => events.close());
  addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
})();
