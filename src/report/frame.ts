import { type Content, type Html, html } from './html.js'

/** A section with a heading; `lead` says in a line what is to be seen. */
export function card(id: string, title: string, lead: Content, content: Content): Html {
  return html`<section class="card" id="${id}">
<h2>${title}</h2>
${lead !== '' && lead !== undefined && lead !== false && html`<p class="lead">${lead}</p>`}
${content}
</section>`
}

export type Tone = 'good' | 'warn' | 'bad' | 'plain'

/** The judgement at the top: the one thing that nobody may overlook. */
export function banner(tone: Tone, title: string, says: Content): Html {
  return html`<section class="banner ${tone}"><div class="sign">${SIGNS[tone]}</div><div><h2>${title}</h2>${says}</div></section>`
}

const SIGNS: Readonly<Record<Tone, string>> = { good: '✓', warn: '!', bad: '✕', plain: '·' }

export function chip(tone: Tone, text: string): Html {
  return html`<span class="chip ${tone}">${text}</span>`
}

/** A figure with its name above and a remark below. */
export function tile(name: string, value: Content, remark: Content = undefined): Html {
  return html`<div class="tile"><dt>${name}</dt><dd>${value}</dd>${remark !== undefined && html`<dd class="remark">${remark}</dd>`}</div>`
}

/** Names and values, where a table would be too much. */
export function facts(rows: readonly (readonly [string, Content])[]): Html {
  return html`<dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}

export function noteList(notes: readonly string[]): Html {
  return html`<ul class="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>`
}

/** Head of a report: what it is about, where and when it was made. */
export function masthead(kind: string, title: string, says: Content): Html {
  return html`<header class="masthead"><p class="brand"><b>subten</b> ${kind}</p><h1>${title}</h1><p class="soft">${says}</p></header>`
}
