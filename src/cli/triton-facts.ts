import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TritonFiles, tritonFiles } from '../load/triton-files.js'

/** What `subten doctor` says of Triton. It is an option: without it nothing is wrong. */
export interface TritonFacts extends Partial<TritonFiles> {
  /** Where the library was looked for, in that order. */
  readonly looked: readonly string[]
  readonly backends: readonly string[]
  /** Versions of the Python backend's environment, or why that backend would not start. */
  readonly pythonBackend?: string
  readonly advice: readonly string[]
}

const INSTALL =
  'Triton is not installed; only models with `engine: triton` need it. In a checkout: npm run triton:install. Else set TRITON_SERVER_LIB to libtritonserver.so.'

export function tritonFacts(explicit?: string): TritonFacts {
  const { files, looked } = tritonFiles(explicit)
  if (!files) {
    // A library that was named and is not there is a mistake; none at all is a choice.
    const named = explicit ?? process.env.TRITON_SERVER_LIB
    const wrong = `There is no Triton library at ${named} (TRITON_SERVER_LIB): set it to libtritonserver.so, or unset it.`
    return { looked, backends: [], advice: named ? [wrong] : [] }
  }
  const backends = backendsIn(files.backendDirectory)
  const python = backends.includes('python') ? pythonBackend(files) : undefined
  const advice = [
    ...(python?.advice ? [python.advice] : []),
    ...(backends.length === 0
      ? [`No Triton backend lies beside ${files.library}: give one with the option backendDirectory.`]
      : []),
  ]
  return { ...files, looked, backends, ...(python && { pythonBackend: python.says }), advice }
}

/** The section of the text report, a row for each. */
export function tritonRows(facts: TritonFacts): [string, string][] {
  if (!facts.library) {
    return [
      ['library', 'not found'],
      ['looked in', facts.looked.join(', ')],
      ...(facts.advice.length ? [] : ([['to have it', INSTALL]] as [string, string][])),
    ]
  }
  return [
    ['library', facts.library],
    ['backends', facts.backends.join(', ') || 'none'],
    ...(facts.pythonBackend ? ([['python', facts.pythonBackend]] as [string, string][]) : []),
  ]
}

function backendsIn(folder: string | undefined): string[] {
  if (folder === undefined) return []
  const isBackend = (name: string): boolean => existsSync(join(folder, name, `libtriton_${name}.so`))
  return readdirSync(folder).filter(isBackend).sort()
}

function pythonBackend({ backendDirectory = '', python }: TritonFiles): { says: string; advice?: string } {
  const again =
    'Run npm run triton:install -- --force, or set SUBTEN_TRITON_PYTHON to a virtual environment with numpy 1.x.'
  if (!existsSync(join(backendDirectory, 'python', 'triton_python_backend_stub'))) {
    return { says: 'the Python backend has no stub', advice: `The Python backend cannot start a model. ${again}` }
  }
  const named = process.env.SUBTEN_TRITON_PYTHON || python
  const interpreter = named === undefined ? 'python3' : interpreterOf(named)
  const ask = 'import sys, numpy; print("%d.%d.%d" % sys.version_info[:3], numpy.__version__)'
  const { status, stdout } = spawnSync(interpreter, ['-c', ask], { encoding: 'utf8', timeout: 10_000 })
  if (status !== 0) {
    return { says: `${interpreter} has no usable numpy`, advice: `Models of the Python backend need numpy. ${again}` }
  }
  const [version, numpy] = stdout.trim().split(' ')
  return { says: `${version}, numpy ${numpy} (${named ?? interpreter})` }
}

const interpreterOf = (path: string): string =>
  existsSync(join(path, 'bin', 'python3')) ? join(path, 'bin', 'python3') : path
