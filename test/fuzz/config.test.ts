import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseConfig, readConfigFile } from '../../src/repository/config-text.js'
import { resolveConfig } from '../../src/repository/model-config.js'
import { SubtenError } from '../../src/runtime/errors.js'
import { bodies, configTexts } from './mutations.js'
import { asLongAsThereIsTime, timeoutMs } from './time.js'

const folder = 'test/data/config'
const seeds = [
  ...readdirSync(folder)
    .filter((name) => name.endsWith('.pbtxt'))
    .map((name) => join(folder, name)),
  'models/digits/config.pbtxt',
  'models/echo/config.pbtxt',
].map((file) => readFileSync(file, 'utf8'))

function expectRefusal(error: unknown, file: string): void {
  if (!(error instanceof SubtenError)) throw error
  expect(error.code).toBe('CONFIG_INVALID')
  expect(error.message.startsWith(file)).toBe(true)
  const whole = /larger than|not UTF-8/.test(error.message) // these are about the file, no line of it
  expect(whole || Number(error.details.line) > 0, error.message).toBe(true)
}

test('any text is a valid configuration or CONFIG_INVALID with file and line', { timeout: timeoutMs }, () => {
  let [runs, valid] = [0, 0]
  fc.assert(
    fc.property(configTexts(seeds), (text) => {
      runs++
      try {
        resolveConfig(parseConfig(text, 'c.pbtxt'), { partial: true })
        valid++
      } catch (error) {
        expectRefusal(error, 'c.pbtxt')
      }
    }),
    asLongAsThereIsTime(),
  )
  console.log(`config.pbtxt: ${runs} texts, ${valid} of them valid`)
  expect(valid).toBeGreaterThan(0)
  expect(runs).toBeGreaterThan(valid)
})

test('any bytes in a file are the same', { timeout: timeoutMs }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'subten-fuzz-'))
  const file = join(directory, 'config.pbtxt')
  let runs = 0
  try {
    await fc.assert(
      fc.asyncProperty(bodies(seeds.map((seed) => Buffer.from(seed))), async (bytes) => {
        runs++
        await writeFile(file, bytes)
        try {
          const document = await readConfigFile(file)
          if (document) resolveConfig(document, { partial: true })
        } catch (error) {
          expectRefusal(error, file)
        }
      }),
      asLongAsThereIsTime(),
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
  console.log(`config.pbtxt: ${runs} files`)
  expect(runs).toBeGreaterThan(0)
})
