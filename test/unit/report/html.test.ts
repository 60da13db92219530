import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { escapeHtml, html, scriptJson } from '../../../src/report/html.js'

describe('templates of HTML', () => {
  it('escape what is put in, and not what was made by a template', () => {
    expect(html`<p title="${'"<'}">${'<b>'}${html`<i>${'&'}</i>`}${[1, 'ü']}</p>`.text).toBe(
      '<p title="&quot;&lt;">&lt;b&gt;<i>&amp;</i>1ü</p>',
    )
  })

  it('leave out undefined and false, and keep 0 and the empty list', () => {
    expect(html`[${undefined}${false}${0}${[]}]`.text).toBe('[0]')
  })

  it('show what would turn the direction of a text', () => {
    expect(escapeHtml('a\u202eb\u0000')).toBe('a\\u202eb\\u0000')
  })

  it('let no text out of its place', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (any) => {
        expect(escapeHtml(any)).not.toMatch(/[<>"']/)
        const json = scriptJson([any]).text
        expect(json).not.toMatch(/[<>&]/)
        expect(JSON.parse(json)).toEqual([any])
      }),
    )
  })
})
