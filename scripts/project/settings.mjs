// The models that the server of `npm run project:vision` serves: each precision with each way to batch, on each engine.
// They are folders of their own beside each other, so that one server has them all under the same load and machine.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const BATCHING = {
  off: 'off',
  static: 'static, up to 8, waits 2 ms',
  slo: 'slo: by deadlines of the contract',
}

/** `dynamic_batching` and what belongs to it, as text of a config.pbtxt. */
function batchingText(kind, slaMs) {
  if (kind === 'off') return ''
  if (kind === 'static') return 'dynamic_batching { preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 2000 }\n'
  return `dynamic_batching { }\nparameters { key: "subten.slo" value { string_value: "{\\"p99Ms\\":${slaMs}}" } }\n`
}

/**
 * Copies the models into a repository of `target`, one for each setting, and says what they are.
 *
 * @param variants `[{ title, folder }]`: FP32 and INT8
 * @param engines `['onnxruntime', 'triton']`, or without Triton
 */
export function makeRepository(target, variants, engines, slaMs) {
  const settings = []
  for (const engine of engines) {
    for (const { title, folder } of variants) {
      for (const batching of Object.keys(BATCHING)) {
        const name = [title.toLowerCase(), batching, engine].join('_')
        const place = join(target, name)
        mkdirSync(place, { recursive: true })
        cpSync(folder, place, { recursive: true })
        writeFileSync(
          join(place, 'config.pbtxt'),
          configOf(readFileSync(join(folder, 'config.pbtxt'), 'utf8'), { name, batching, engine, slaMs }),
        )
        settings.push({ name, precision: title, batching, engine })
      }
    }
  }
  return settings
}

/** The model's own config.pbtxt with another name, engine and batching. Our models have each of them on a line of its own. */
function configOf(text, { name, batching, engine, slaMs }) {
  const lines = text.split('\n').filter((line) => !/^dynamic_batching\b.*}\s*$/.test(line))
  const own = lines.map((line) => {
    if (/^name:/.test(line)) return `name: "${name}"`
    if (/^backend:/.test(line)) return `backend: "${engine === 'triton' ? 'subten_onnxruntime' : 'onnxruntime'}"`
    return line
  })
  return `${own.join('\n').trimEnd()}\n${batchingText(batching, slaMs)}`
}
