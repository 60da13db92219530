// npm run tensorrt:install: what builds plans on machines without a GPU. The shared objects of subten that drive
// TensorRT, for each ABI of it, and TensorRT for RTX by `subten gpu install`.
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'
import { install } from './npm.mjs'
import { at, locked, main, run } from './step.mjs'
import { buildTensorrt } from './tensorrt-build.mjs'

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(async () => {
    await install()
    await build(['ts'])
    await run(process.execPath, [at('dist', 'cli.js'), 'gpu', 'install', '--engine', 'rtx'])
    await locked(() => buildTensorrt())
  })
}
