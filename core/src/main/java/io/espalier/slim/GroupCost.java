package io.espalier.slim;

/**
 * What a group costs and loses, as the choice of widths saw it.
 *
 * @param before of all layers that it has to do with, in the unit of the target, as they were
 * @param after the same beside the other groups' widths
 * @param error what is lost by what goes of it, expected
 */
public record GroupCost(double before, double after, double error) {}
