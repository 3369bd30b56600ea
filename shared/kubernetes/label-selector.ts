type Labels = Readonly<Record<string, string>>;
export type LabelsPredicate = (labels: Labels) => boolean;

/** Whether a label's value, if any, meets one requirement of a LabelSelector's `matchExpressions`. */
export function meetsRequirement(value: string | undefined, operator: string, values: readonly string[]): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return false;
  }
}

const setRequirement = /^([^\s!=(),]+)\s+(in|notin)\s*\(([^()]*)\)$/;
const equality = /^([^\s!=(),]+)\s*(=|==|!=)\s*([^\s!=(),]*)$/;
const existence = /^(!?)\s*([^\s!=(),]+)$/;

/**
 * Parses a label selector in kubectl's syntax: `a=b,c!=d,e in (f,g),h,!i`. Throws a SyntaxError in the API server's
 * words if it is invalid.
 */
export function parseLabelSelector(text: string): LabelsPredicate {
  const requirements = splitOutsideParentheses(text).map(parseRequirement);
  return (labels) => requirements.every((requirement) => requirement(labels));
}

function splitOutsideParentheses(text: string): string[] {
  if (text.trim() === '') return [];
  return text.split(/,(?![^(]*\))/).map((part) => part.trim());
}

function parseRequirement(text: string): LabelsPredicate {
  const [, setKey, setOperator, setValues] = setRequirement.exec(text) ?? [];
  if (setKey !== undefined && setValues !== undefined) {
    const values = setValues.split(',').map((value) => value.trim());
    return (labels) => meetsRequirement(labels[setKey], setOperator === 'in' ? 'In' : 'NotIn', values);
  }
  const [, key, operator, value] = equality.exec(text) ?? [];
  if (key !== undefined && value !== undefined) {
    return (labels) => meetsRequirement(labels[key], operator === '!=' ? 'NotIn' : 'In', [value]);
  }
  const [, not, name] = existence.exec(text) ?? [];
  if (name !== undefined) return (labels) => (labels[name] !== undefined) === (not === '');
  const found = /[=!]$/.exec(text)?.[0] ?? text;
  throw new SyntaxError(`unable to parse requirement: found '${found}', expected: identifier`);
}
