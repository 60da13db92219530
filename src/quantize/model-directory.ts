import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type ConfigEdits, editConfig } from '../repository/config-edit.js'
import { formatConfig } from '../repository/config-text.js'
import { isModelName } from '../repository/names.js'
import { CONFIG_FILE, type LocatedModel } from '../repository/repository.js'
import { wholeFile } from '../repository/whole-file.js'
import { SubtenError } from '../runtime/errors.js'

/** A model directory that is made beside its place and takes it when it is whole. */
export interface NewModel {
  readonly name: string
  /** Where it is going to be. */
  readonly path: string
  /** Where it is made: the file of the model. */
  readonly file: string
  /** Sets parameters of its config.pbtxt (JSON values by their names, as `subten.accuracy`), and fields. */
  configure(parameters: Readonly<Record<string, object | string>>, fields?: ConfigEdits['fields']): Promise<void>
  /** A file beside its config.pbtxt. */
  write(name: string, text: string): Promise<void>
  /** The folder that is made, which can be loaded already. */
  readonly folder: string
  /** Takes its place, the one before included. */
  commit(): Promise<void>
  /** Leaves nothing behind; after `commit` it does nothing. */
  discard(): Promise<void>
}

/** Parameters that are of the model itself and not of its variant. */
const NOT_INHERITED = ['subten.cheaper_variant', 'subten.accuracy', 'subten.quantization']

/**
 * Begins a variant of a model: its config.pbtxt with another name, and all that lies in its directory beside the
 * versions (labels, warm-up data).
 *
 * @param repository the directory that it goes into; by default the one of the model
 * @throws SubtenError CONFIG_INVALID: a name that cannot be one, or that is taken and `force` is not set
 */
export async function beginVariant(
  source: LocatedModel,
  name: string,
  options: { repository?: string | undefined; force?: boolean | undefined },
): Promise<NewModel> {
  if (!isModelName(name)) {
    throw new SubtenError('CONFIG_INVALID', `"${name}" cannot be the name of a model`, {
      remedy: 'Letters, digits, ".", "_" and "-" are allowed (--name).',
    })
  }
  const repository = options.repository ?? dirname(source.directory ?? (source.file as string))
  const path = join(repository, name)
  if (path === source.directory) {
    throw new SubtenError('CONFIG_INVALID', `${path} is the model itself`, { remedy: 'Choose another --name.' })
  }
  if (existsSync(path) && !options.force) {
    throw new SubtenError('CONFIG_INVALID', `there is something at ${path} already`, {
      remedy: 'Choose another --name, or replace it with --force.',
      details: { path },
    })
  }
  // In a folder of its own, so that it has its name when it is tried; a hidden one is no model of the repository.
  const parent = join(repository, `.${name}.${randomBytes(4).toString('hex')}`)
  const folder = join(parent, name)
  const version = String(source.document.fields.version_policy?.specific ? source.version : 1)
  const model = new Variant(name, path, parent, join(folder, version, source.engine.filename || 'model.onnx'), source)
  try {
    await mkdir(dirname(model.file), { recursive: true })
    await model.copyFiles()
    return model
  } catch (error) {
    await model.discard()
    throw error
  }
}

class Variant implements NewModel {
  readonly folder: string
  #committed = false

  constructor(
    readonly name: string,
    readonly path: string,
    readonly parent: string,
    readonly file: string,
    readonly source: LocatedModel,
  ) {
    this.folder = join(parent, name)
  }

  async copyFiles(): Promise<void> {
    const { directory } = this.source
    if (directory === undefined) return
    for (const { name } of await readdir(directory, { withFileTypes: true })) {
      // Versions are model files; what begins with a dot is nobody's; the report of another quantisation is not ours.
      if (/^\d+$/.test(name) || name.startsWith('.') || name === CONFIG_FILE || name === 'quantization.json') continue
      await cp(join(directory, name), join(this.folder, name), { recursive: true, dereference: true })
    }
  }

  async configure(
    parameters: Readonly<Record<string, object | string>>,
    fields: ConfigEdits['fields'] = {},
  ): Promise<void> {
    const own = Object.entries(parameters).map(([key, value]) => [key, JSON.stringify(value)])
    const edits = { ...Object.fromEntries(NOT_INHERITED.map((key) => [key, null])), ...Object.fromEntries(own) }
    const file = this.source.document.file
    const text = file === undefined ? this.#freshConfig() : wholeFile(file).toString('utf8')
    await this.write(CONFIG_FILE, editConfig(text, { name: this.name, parameters: edits, fields }, file))
  }

  /** For a model that has none. What the file says of its tensors, the engine reads from the file. */
  #freshConfig(): string {
    const { backend } = this.source.engine
    const filename = this.source.engine.filename
    const named = filename !== '' && filename !== 'model.onnx' ? { default_model_filename: filename } : {}
    return formatConfig({ name: this.name, backend, ...named })
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.folder, name), text)
  }

  async commit(): Promise<void> {
    const before = join(this.parent, 'before')
    if (existsSync(this.path)) await rename(this.path, before)
    await rename(this.folder, this.path)
    this.#committed = true
    await rm(this.parent, { recursive: true, force: true })
  }

  async discard(): Promise<void> {
    if (!this.#committed) await rm(this.parent, { recursive: true, force: true })
  }
}
