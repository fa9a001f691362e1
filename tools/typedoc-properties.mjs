import { Application, ReflectionKind } from 'typedoc';

/**
 * Requires a comment on every property of an exported interface or class. Properties of inline types are left out: most
 * are keys of zod schemas, which describe themselves (`.describe`), and a test checks that they do.
 *
 * @param {Application} app
 */
export function load(app) {
  app.on(Application.EVENT_VALIDATE_PROJECT, (project) => {
    for (const property of project.getReflectionsByKind(ReflectionKind.Property)) {
      if (!property.parent?.kindOf(ReflectionKind.Interface | ReflectionKind.Class)) continue;
      if (property.hasComment() || property.flags.isExternal || property.inheritedFrom) continue;
      app.logger.validationWarning(`${property.getFullName()} (Property) does not have any documentation`);
    }
  });
}
