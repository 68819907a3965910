// Patterns of the string formats of JSON Schema that are finite to describe; each gives a part of what the format allows.
const HOUR = '([01][0-9]|2[0-3])';
const DATE =
  '([0-9]{4}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{4}-(0[469]|11)-(0[1-9]|[12][0-9]|30)|[0-9]{4}-02-(0[1-9]|1[0-9]|2[0-8]))';
const TIME = `${HOUR}:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]${HOUR}:[0-5][0-9])`;
const BYTE = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const LABEL = '[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?';

export const FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  'date-time': `${DATE}T${TIME}`,
  duration: 'P([1-9][0-9]{0,3}D(T[1-9][0-9]{0,3}H)?|T[1-9][0-9]{0,3}[HMS])',
  uuid: '[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}',
  ipv4: `${BYTE}(\\.${BYTE}){3}`,
  email: `[a-z0-9_+-]{1,30}(\\.[a-z0-9_+-]{1,20}){0,2}@(${LABEL}\\.){1,3}[a-z]{2,10}`,
  hostname: `(${LABEL}\\.){0,3}${LABEL}`,
  uri: `https?://(${LABEL}\\.){1,3}[a-z]{2,10}(/[A-Za-z0-9_.~-]{1,30}){0,6}/?`,
};
