// Node 20 has neither symbol; `using` in compiled code looks for exactly these.
const symbols = Symbol as unknown as { dispose?: symbol; asyncDispose?: symbol }
for (const name of ['dispose', 'asyncDispose'] as const) {
  if (symbols[name] === undefined) {
    Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`), configurable: false, writable: false })
  }
}
