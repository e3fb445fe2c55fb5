/** Thrown where an instruction turns out to be none that a region can hold. */
export class Untranslatable {}
