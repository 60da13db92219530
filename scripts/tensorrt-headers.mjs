// NVIDIA's public headers of TensorRT, pinned in scripts/tensorrt.json, in .cache/tensorrt/headers/{10,11,rtx}. They come
// from a crate that carries them (Apache-2.0), through cargo; nothing of it is compiled or committed.
//   node scripts/tensorrt-headers.mjs [--force]
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { at, main, run, StepError, say } from './step.mjs'
import { which } from './tools.mjs'

const pins = JSON.parse(fs.readFileSync(new URL('./tensorrt.json', import.meta.url), 'utf8'))
const place = at('.cache', 'tensorrt', 'headers')

/** Fetches the headers that are not there yet. Returns their folder. */
export async function fetchTensorrtHeaders({ force = false } = {}) {
  for (const [name, pin] of Object.entries(pins.headers)) {
    const folder = join(place, name)
    const note = join(folder, 'crate.sha256')
    if (!force && fs.existsSync(note) && fs.readFileSync(note, 'utf8') === pin.sha256) continue
    say(`fetching the headers of ${pin.folder}`)
    const crate = await download(pin)
    const fresh = `${folder}.${process.pid}`
    fs.rmSync(fresh, { recursive: true, force: true })
    fs.mkdirSync(fresh, { recursive: true })
    const inside = `${pin.file.slice(0, -'.crate'.length)}/TensorRT-Headers/${pin.folder}`
    await run('tar', ['-xzf', crate, '-C', fresh, '--strip-components=3', inside], { quiet: true })
    fs.writeFileSync(join(fresh, 'crate.sha256'), pin.sha256)
    fs.rmSync(folder, { recursive: true, force: true })
    fs.renameSync(fresh, folder)
  }
  return place
}

/** The crate's file, by cargo, which keeps it in its cache; its hash is checked here as well. */
async function download(pin) {
  if (!which('cargo')) {
    throw new StepError("cargo is missing: it fetches TensorRT's headers. Install Rust (rustup), or leave TensorRT out")
  }
  // `info` downloads the one package that it describes.
  await run('cargo', ['info', '--quiet', `${pins.crate}@${pin.version}`], { quiet: true, cwd: at('scripts') })
  const cache = join(process.env.CARGO_HOME || join(homedir(), '.cargo'), 'registry', 'cache')
  const folders = fs.existsSync(cache) ? fs.readdirSync(cache) : []
  const file = folders.map((folder) => join(cache, folder, pin.file)).find((path) => fs.existsSync(path))
  if (!file) throw new StepError(`cargo did not leave ${pin.file} in ${cache}`)
  const found = createHash('sha256').update(fs.readFileSync(file)).digest('hex')
  if (found !== pin.sha256) throw new StepError(`${pin.file} has the wrong hash: ${found}`)
  return file
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    await fetchTensorrtHeaders({ force: process.argv.includes('--force') })
    say('the headers of TensorRT are in .cache/tensorrt/headers')
  })
}
