// Where files from outside are read, an index may miss: checks the files of tsconfig.indexed.json, and no file that they
// import, with `noUncheckedIndexedAccess`. Numeric kernels, whose loops know their bounds, stay without it.
import { dirname, resolve } from 'node:path';
import ts from 'typescript';

const path = resolve('tsconfig.indexed.json');
const { config, error } = ts.readConfigFile(path, ts.sys.readFile);
const { fileNames, options, errors } = ts.parseJsonConfigFileContent(config ?? {}, ts.sys, dirname(path));
const program = ts.createProgram(fileNames, { ...options, noEmit: true });
const found = [
  ...(error ? [error] : errors),
  ...fileNames.flatMap((name) => program.getSemanticDiagnostics(program.getSourceFile(name))),
];
const host = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => process.cwd(), getNewLine: () => '\n' };
process.stdout.write(ts.formatDiagnostics(found, host));
if (found.length > 0) process.exitCode = 1;
