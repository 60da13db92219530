import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Journal, parseJournal } from '../../../src/optimize/journal.js'

const KEY = { models: 'a', space: 'b' }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subten-journal-'))
})
afterEach(() => rm(folder, { recursive: true }))

const file = () => join(folder, 'journal.jsonl')

async function withEntries(names: readonly string[], key = KEY): Promise<void> {
  const journal = await Journal.open(folder, key)
  for (const name of names) await journal.once(name, async () => ({ of: name, text: 'ä\n"{' }))
  await journal.close()
}

describe('the journal', () => {
  it('gives what was measured before, and measures nothing twice', async () => {
    await withEntries(['one', 'two'])
    const journal = await Journal.open(folder, KEY)
    expect(journal.found).toEqual({ entries: 2, changed: [] })
    const again = await journal.once('one', async () => {
      throw new Error('measured twice')
    })
    expect(again).toEqual({ of: 'one', text: 'ä\n"{' })
    await journal.close()
  })

  it('survives a last line torn at each of its bytes', async () => {
    await withEntries(['one', 'two', 'three'])
    const whole = await readFile(file())
    const lines = whole.toString().trimEnd().split('\n')
    const last = Buffer.byteLength(`${lines.at(-1)}\n`)
    for (let cut = 1; cut <= last; cut++) {
      await writeFile(file(), whole.subarray(0, whole.length - cut))
      const journal = await Journal.open(folder, KEY)
      expect(journal.found.entries).toBe(2)
      await journal.once('three', async () => ({ again: true }))
      await journal.close()
      const { entries } = parseJournal(await readFile(file(), 'utf8'))
      expect([...entries.keys()]).toEqual(['one', 'two', 'three'])
      expect(entries.get('three')).toEqual({ again: true })
    }
  })

  it('begins anew where the first line is torn, and keeps what lay there', async () => {
    await withEntries([])
    const whole = await readFile(file())
    await writeFile(file(), whole.subarray(0, 10))
    const journal = await Journal.open(folder, KEY)
    expect(journal.found).toEqual({ entries: 0, changed: [] })
    await journal.close()
    expect((await readdir(folder)).filter((name) => name.startsWith('journal-'))).toHaveLength(1)
  })

  it('passes over a line in the middle that cannot be read', async () => {
    await withEntries(['one', 'two'])
    const lines = (await readFile(file(), 'utf8')).split('\n')
    lines[1] = '\0\0\0'
    await writeFile(file(), lines.join('\n'))
    const journal = await Journal.open(folder, KEY)
    expect(journal.has('one')).toBe(false)
    expect(journal.has('two')).toBe(true)
    await journal.close()
  })

  it('begins anew for another key, names what changed, and keeps the old one', async () => {
    await withEntries(['one'])
    const journal = await Journal.open(folder, { ...KEY, models: 'c' })
    expect(journal.found).toEqual({ entries: 0, changed: ['models'] })
    await journal.close()
    expect((await readdir(folder)).filter((name) => name.startsWith('journal-'))).toHaveLength(1)
  })

  it('is for one process at a time', async () => {
    const journal = await Journal.open(folder, KEY)
    await expect(Journal.open(folder, KEY)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('another process'),
    })
    await journal.close()
    await (await Journal.open(folder, KEY)).close()
  })

  it('refuses a folder that cannot be made', async () => {
    await writeFile(join(folder, 'file'), '')
    await expect(Journal.open(join(folder, 'file', 'state'), KEY)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})
