import type { Labelled } from '../../data/index.js';
import type { ModelCard, ModelSpec } from '../../models/index.js';

/** Where the classes of a data set are not those of a model, or stand in another order, one sentence each. */
export function classDisagreements(
  { classes: own }: ModelCard,
  { head }: ModelSpec,
  data: Pick<Labelled, 'classes'>,
): string[] {
  const given = data.classes;
  if (!own) {
    if (given.length === head.size) return [];
    return [`the model has ${head.size} classes without names, the data ${given.length}: ${listNames(given)}`];
  }
  if (given.every((name, label) => name === own[label])) return [];
  const sameNames = given.every((name) => own.includes(name));
  const what = sameNames ? 'the classes of the data are in another order' : 'the classes of the data are others';
  return [`${what} than the model's: ${listNames(given)}; the model's are ${listNames(own)}`];
}

/** Whether training on classes is no attack on a model, since it is released for some of them. */
export function authorizedClasses({ classes: own }: ModelCard, { classes }: Pick<Labelled, 'classes'>): string[] {
  const authorized = classes.filter((name) => own?.includes(name));
  if (authorized.length === 0) return [];
  const which =
    authorized.length === classes.length ? 'all classes' : `${authorized.length} of ${classes.length} classes`;
  return [`${which} of the attack are authorized, the model is released for them: ${listNames(authorized)}`];
}

/** The first names of a list. */
function listNames(names: readonly string[], most = 12): string {
  const shown = names.slice(0, most).map((name) => (name.length > 40 ? `${name.slice(0, 39)}…` : name));
  return `${shown.join(', ')}${names.length > most ? `, and ${names.length - most} more` : ''}`;
}
