// Whether this machine has what the GPU lane needs, asked without loading any library of CUDA into this process.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { at } from '../../scripts/step.mjs'
import { folderOf } from './models.mjs'

/** Why nothing can run on a GPU here, or the card, as nvidia-smi names it. */
export function card() {
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader']
  const { status, stdout } = spawnSync('nvidia-smi', query, { encoding: 'utf8' })
  if (status !== 0 || !stdout.trim()) return { missing: 'no NVIDIA GPU (nvidia-smi shows none)' }
  const [name, driver, memory] = stdout.trim().split('\n')[0].split(', ')
  const library = process.env.SUBTEN_ONNXRUNTIME_LIB
  if (!library || !existsSync(library.replace(/[^/]*$/, 'libonnxruntime_providers_cuda.so'))) {
    return { name, missing: 'no ONNX Runtime with a CUDA provider (SUBTEN_ONNXRUNTIME_LIB; docs/gpu.md)' }
  }
  return { name, driver, memory, library }
}

/** Why what a check needs is not here; undefined where it is. */
export function lacks(need) {
  if (need === undefined) return undefined
  if (need === 'triton') return existsSync(at('.cache', 'triton', 'lib')) ? undefined : 'Triton is not installed'
  if (need === 'tensorrt') {
    const there = existsSync(process.env.SUBTEN_TENSORRT_LIB ?? '')
    return there ? undefined : 'no TensorRT with a builder (SUBTEN_TENSORRT_LIB; docs/tensorrt.md)'
  }
  return folderOf(need) ? undefined : `the model ${need} is not made (scripts/models/resnet50.py)`
}
