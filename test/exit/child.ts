// What tests in TypeScript import. The code is JavaScript, because exits.mjs runs on Nodes that read no TypeScript.
export * from './child.mjs'
