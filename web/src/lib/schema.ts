// Builds the parameter form from the server's JSON Schema (draft 2020-12).

import type { Params, ParamValue } from "../api";
import { title } from "./format";

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  const?: ParamValue;
  enum?: ParamValue[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  description?: string;
  default?: ParamValue;
  minimum?: number;
  maximum?: number;
  pattern?: string;
  format?: string;
  /** The parameters that each preset changes, by the preset's name. */
  "x-presets"?: Record<string, Params>;
}

interface Common {
  /** JSON pointer from the parameters' root. */
  pointer: string;
  label: string;
  help: string;
}

export interface Choice {
  value: ParamValue;
  help: string;
}

export interface NumberField extends Common {
  kind: "number";
  integer: boolean;
  initial: number | undefined;
  minimum: number | undefined;
  maximum: number | undefined;
}

export interface ChoiceField extends Common {
  kind: "choice";
  choices: Choice[];
  /** The `format` of a free value, if one is allowed besides the choices. */
  open: string | undefined;
  initial: ParamValue | undefined;
}

export interface SwitchField extends Common {
  kind: "switch";
  initial: boolean;
}

export interface TextField extends Common {
  kind: "text";
  pattern: string | undefined;
  initial: string;
}

export interface Group extends Common {
  kind: "group";
  fields: Field[];
}

/** Labels of the parameters whose names do not explain themselves. */
const LABELS: Record<string, string> = {
  "/init": "Start from",
  "/retain": "Share of the base model kept",
  "/unfreeze/heads_rate": "Learning-rate multiplier in the heads' epochs",
  "/unfreeze/second_backbone_rate": "Learning-rate multiplier in the second backbone's epochs",
};

/** A parameter's label, by its pointer. */
export function labelOf(pointer: string): string {
  return LABELS[pointer] ?? title(pointer.slice(pointer.lastIndexOf("/") + 1));
}

export type Leaf = NumberField | ChoiceField | SwitchField | TextField;
export type Field = Leaf | Group;

/** The fields of an object schema, in the schema's order, with the defaults of a preset. */
export function fieldsOf(root: unknown, preset = ""): Field[] {
  const schema = root as Schema;
  return fields(schema, schema, "", schema["x-presets"]?.[preset] ?? schema.default);
}

/** A field's initial value, as text. */
export function initialText(field: Leaf): string {
  return field.initial === undefined || field.initial === null ? "" : String(field.initial);
}

/** The parameters to send: those that differ from the defaults, nested like the schema. */
export function changed(all: Field[], texts: ReadonlyMap<string, string>): Params {
  const params: Params = {};
  for (const field of all) {
    const name = field.pointer.slice(field.pointer.lastIndexOf("/") + 1);
    if (field.kind === "group") {
      const inner = changed(field.fields, texts);
      if (Object.keys(inner).length) params[name] = inner;
      continue;
    }
    const text = texts.get(field.pointer);
    if (text !== undefined && text.trim() !== initialText(field))
      params[name] = parse(field, text.trim());
  }
  return params;
}

/** Why a value is invalid, if it is. The server checks it again. */
export function wrong(field: Leaf, text: string): string | undefined {
  if (field.kind !== "number") return undefined;
  const value = Number(text.trim());
  if (text.trim() === "" || Number.isNaN(value)) return "must be a number";
  if (field.integer && !Number.isInteger(value)) return "must be a whole number";
  if (field.minimum !== undefined && value < field.minimum)
    return `must be at least ${field.minimum}`;
  if (field.maximum !== undefined && value > field.maximum)
    return `must be at most ${field.maximum}`;
  return undefined;
}

/** All leaves of the given fields. */
export function leaves(all: Field[]): Leaf[] {
  return all.flatMap((field) => (field.kind === "group" ? leaves(field.fields) : [field]));
}

/** Parameters by pointer, for filling the form with those of an earlier job. */
export function flatten(params: object, prefix = ""): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [name, value] of Object.entries(params)) {
    const pointer = `${prefix}/${name}`;
    if (value !== null && typeof value === "object") {
      for (const [inner, text] of flatten(value, pointer)) texts.set(inner, text);
    } else if (value !== null) {
      texts.set(pointer, String(value));
    }
  }
  return texts;
}

function fields(root: Schema, object: Schema, prefix: string, defaults: unknown): Field[] {
  const byName = (defaults ?? {}) as Record<string, ParamValue>;
  return Object.entries(object.properties ?? {}).map(([name, schema]) =>
    fieldOf(root, schema, `${prefix}/${name}`, byName[name]),
  );
}

function fieldOf(root: Schema, own: Schema, pointer: string, outer?: ParamValue): Field {
  const schema = resolve(root, own);
  const initial = outer ?? schema.default;
  const help = (schema.description ?? "").replaceAll("`", "");
  const common: Common = { pointer, label: labelOf(pointer), help };
  const choices = choicesOf(schema);
  if (schema.properties) {
    return { ...common, kind: "group", fields: fields(root, schema, pointer, initial) };
  }
  if (choices.length) {
    const open = (schema.anyOf ?? schema.oneOf ?? []).find(
      (option) => option.type && option.const === undefined,
    );
    return { ...common, kind: "choice", choices, open: open && (open.format ?? "text"), initial };
  }
  if (schema.type === "boolean") return { ...common, kind: "switch", initial: initial === true };
  if (schema.type === "integer" || schema.type === "number") {
    const integer = schema.type === "integer";
    const { minimum, maximum } = schema;
    return { ...common, kind: "number", integer, initial: initial as number, minimum, maximum };
  }
  const text = initial === undefined || initial === null ? "" : String(initial);
  return { ...common, kind: "text", pattern: schema.pattern, initial: text };
}

/** Follows `$ref`. Properties next to the `$ref` override the referenced ones. */
function resolve(root: Schema, schema: Schema): Schema {
  if (!schema.$ref) return schema;
  const name = schema.$ref.slice("#/$defs/".length);
  return { ...(root.$defs?.[name] ?? {}), ...schema };
}

function choicesOf(schema: Schema): Choice[] {
  if (schema.enum) return schema.enum.map((value) => ({ value, help: "" }));
  return (schema.oneOf ?? schema.anyOf ?? []).flatMap((option) => {
    if (option.const !== undefined)
      return [{ value: option.const, help: option.description ?? "" }];
    return (option.enum ?? []).map((value) => ({ value, help: option.description ?? "" }));
  });
}

function parse(field: Leaf, text: string): ParamValue {
  if (field.kind === "number") return Number(text);
  if (field.kind === "switch") return text === "true";
  const choice =
    field.kind === "choice" && field.choices.find(({ value }) => String(value) === text);
  return choice ? choice.value : text;
}
