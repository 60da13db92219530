import { type FieldPath, formatPath } from '../repository/field-path.js'
import type { ErrorCode } from '../runtime/error-table.js'
import { SubtenError } from '../runtime/errors.js'

/** Something wrong in a contract, where it is, and what to do about it. */
export interface ContractProblem {
  /** From 1. */
  readonly line: number
  readonly column: number
  /** As `spec.objectives[0].target`; '' where it is the whole document. */
  readonly field: string
  /** A sentence without its end: `1 leaves no budget for errors`. */
  readonly message: string
  readonly fix: string
  /** The contract is right by OpenSLO, but subten cannot measure it. */
  readonly unsupported?: boolean
}

/** More than these help nobody: the first ones are mended and the file is read again. */
const LISTED = 20
/** And a hostile file can have one a byte. */
const KEPT = 500

type Position = { readonly line: number; readonly column: number }

/** Collects everything that is wrong in one file. */
export class ContractProblems {
  readonly #file: string
  readonly #found: ContractProblem[] = []
  #count = 0

  constructor(file: string) {
    this.#file = file
  }

  get count(): number {
    return this.#count
  }

  add(place: Position, path: FieldPath, message: string, fix: string): void {
    this.#keep({ line: place.line, column: place.column, field: formatPath(path), message, fix })
  }

  addUnsupported(place: Position, path: FieldPath, message: string, fix: string): void {
    this.#keep({ line: place.line, column: place.column, field: formatPath(path), message, fix, unsupported: true })
  }

  #keep(problem: ContractProblem): void {
    if (this.#count++ < KEPT) this.#found.push(problem)
  }

  /**
   * Does nothing when nothing was found.
   * @throws {SubtenError} CONFIG_INVALID, or NOT_SUPPORTED when subten's own limits are all that was found; `details`
   *   has `file`, `line` and `field` of the first and all of them in `problems`
   */
  throwIfAny(): void {
    // One slip in a document that several others refer to is one problem.
    const seen = new Map(this.#found.map((problem) => [JSON.stringify(problem), problem]))
    const problems = [...seen.values()].sort((a, b) => a.line - b.line || a.column - b.column)
    const [first] = problems
    if (first === undefined) return
    const code: ErrorCode = problems.every((problem) => problem.unsupported) ? 'NOT_SUPPORTED' : 'CONFIG_INVALID'
    const at = ({ line, field, message }: ContractProblem): string =>
      `${this.#file}:${line}: ${field === '' ? '' : `${field}: `}${message}`
    const details = { file: this.#file, line: first.line, field: first.field, problems }
    if (problems.length === 1) throw new SubtenError(code, at(first), { remedy: first.fix, details })
    const more = this.#count > KEPT ? 'more than ' : ''
    const shown = problems.slice(0, LISTED).map((problem) => `  ${at(problem)}. ${problem.fix}`)
    if (problems.length > LISTED) shown.push(`  and ${problems.length - LISTED} more`)
    throw new SubtenError(code, `${more}${problems.length} mistakes in ${this.#file}\n${shown.join('\n')}`, {
      remedy: 'Correct the fields above; `subten sla schema` prints what each of them takes.',
      details,
    })
  }
}
