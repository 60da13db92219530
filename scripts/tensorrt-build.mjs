// npm run build:tensorrt: the shared objects between the addon and TensorRT, one for each ABI of TensorRT, in
// build/Release/subten_tensorrt_{10,11,rtx}.so. They need TensorRT's headers, which are fetched, and no CUDA.
import { copyFileSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { at, contentHash, filesUnder, isFresh, locked, main, run, say, stamp } from './step.mjs'
import { fetchTensorrtHeaders } from './tensorrt-headers.mjs'

/** The ABIs of TensorRT, by the names of the shared objects for them. */
export const FLAVOURS = ['10', '11', 'rtx']
const names = FLAVOURS.map((flavour) => `subten_tensorrt_${flavour}.so`)

/** What the shared objects are made of. */
export function tensorrtSources() {
  const folders = ['native/engines/tensorrt', 'native/engines/common', 'native/memory/status.h']
  return [...filesUnder(folders), 'CMakeLists.txt', 'scripts/tensorrt.json']
}

export async function buildTensorrt({ quiet = true } = {}) {
  const headers = await fetchTensorrtHeaders()
  const hash = contentHash(tensorrtSources())
  const outputs = names.map((name) => `build/Release/${name}`)
  if (isFresh('tensorrt', hash, outputs)) return
  say('building the shared objects for TensorRT')
  const folder = at('build', 'tensorrt')
  const options = ['-DSUBTEN_ADDON=OFF', `-DSUBTEN_TENSORRT_HEADERS=${headers}`]
  await run('cmake', ['-S', at(), '-B', folder, ...options], { quiet })
  await run('cmake', ['--build', folder, '--target', 'subten_tensorrt', '-j2'], { quiet })
  mkdirSync(at('build', 'Release'), { recursive: true })
  for (const [i, name] of names.entries()) {
    const fresh = `${at(outputs[i])}.${process.pid}`
    copyFileSync(join(folder, 'Release', name), fresh)
    renameSync(fresh, at(outputs[i]))
  }
  stamp('tensorrt', hash)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(() => locked(() => buildTensorrt({ quiet: false })))
}
