package io.espalier.graph;

import io.espalier.graph.Node.OperatorCall;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.ToLongFunction;

/**
 * Finds how the numbers in a program depend on the sizes of its inputs, from runs of one model with
 * inputs of several sizes: each that differs between the runs is the length of its operator's
 * operand, or of a free dimension, or a product, quotient or sum of these and a number.
 */
final class SizeSearch {
    private final List<Run> runs;

    /**
     * A run of the model.
     *
     * @param shapes those of all values
     * @param free the sizes of the free dimensions
     */
    record Run(Graph graph, Map<Value, long[]> shapes, Map<String, Long> free) {}

    SizeSearch(List<Run> runs) {
        this.runs = runs;
    }

    /** The program that all runs are cases of; empty where a number follows from no size. */
    Optional<Graph> generalized() {
        Graph first = runs.getFirst().graph;
        List<Node> nodes = new ArrayList<>();
        for (int i = 0; i < first.nodes().size(); i++) {
            Node node = first.nodes().get(i);
            if (node instanceof OperatorCall call) {
                OperatorCall found = generalized(call, i);
                if (found == null) {
                    return Optional.empty();
                }
                nodes.add(found);
            } else {
                nodes.add(node);
            }
        }
        return Optional.of(first.withNodes(nodes));
    }

    private @Nullable OperatorCall generalized(OperatorCall call, int index) {
        Map<String, Object> attributes = new LinkedHashMap<>(call.attributes());
        for (String name : call.attributes().keySet()) {
            List<Object> values = new ArrayList<>();
            for (Run run : runs) {
                Object value = ((OperatorCall) run.graph.nodes().get(index)).attributes().get(name);
                if (value == null) {
                    return null;
                }
                values.add(value);
            }
            if (values.stream().distinct().count() > 1) {
                Object found = expression(call, values);
                if (found == null) {
                    return null;
                }
                attributes.put(name, found);
            }
        }
        return new OperatorCall(call.operator(), call.operands(), attributes, call.results());
    }

    private @Nullable Object expression(OperatorCall call, List<Object> values) {
        if (!(values.getFirst() instanceof List<?> list)) {
            return number(call, values, -1);
        }
        List<@Nullable Object> elements = new ArrayList<>();
        int open = -1;
        for (int i = 0; i < list.size(); i++) {
            int at = i;
            Object found =
                    number(
                            call,
                            values.stream().map(v -> (Object) ((List<?>) v).get(at)).toList(),
                            i);
            if (found == null && open < 0 && mayLeaveOpen(call, list)) {
                open = i;
                found = -1L;
            }
            if (found == null) {
                return null;
            }
            elements.add(found);
        }
        return elements;
    }

    /** One length of a reshape may follow from the others. */
    private static boolean mayLeaveOpen(OperatorCall call, List<?> shape) {
        return call.operator() == GraphOperator.RESHAPE && !shape.contains(-1L);
    }

    /**
     * A number that all runs have, each its own.
     *
     * @param place its place in a list, where the operand's length along that dimension comes first
     */
    private @Nullable Object number(OperatorCall call, List<Object> values, int place) {
        if (values.stream().distinct().count() == 1) {
            return values.getFirst();
        }
        if (!values.stream().allMatch(Long.class::isInstance)) {
            return null;
        }
        List<Long> numbers = values.stream().map(Long.class::cast).toList();
        for (Size candidate : candidates(call, numbers.getFirst(), place)) {
            if (fits(candidate, call, numbers)) {
                return candidate;
            }
        }
        return null;
    }

    private boolean fits(Size size, OperatorCall call, List<Long> numbers) {
        for (int i = 0; i < numbers.size(); i++) {
            if (resolve(size, call, runs.get(i)) != numbers.get(i)) {
                return false;
            }
        }
        return true;
    }

    private static long resolve(Size size, OperatorCall call, Run run) {
        long[] operand = run.shapes.getOrDefault(call.inputs().getFirst(), new long[0]);
        return size.resolve(name -> run.free.getOrDefault(name, 0L), dim -> operand[dim]);
    }

    private Set<Size> candidates(OperatorCall call, long number, int place) {
        Run first = runs.getFirst();
        int rank = first.shapes.getOrDefault(call.inputs().getFirst(), new long[0]).length;
        List<Size> atoms = new ArrayList<>();
        if (place >= 0 && place < rank) {
            atoms.add(new Size.OfOperand(place));
        }
        for (int dim = 0; dim < rank; dim++) {
            atoms.add(new Size.OfOperand(dim));
        }
        first.free.keySet().forEach(name -> atoms.add(new Size.Free(name)));
        return candidates(atoms, number, size -> resolve(size, call, first), false);
    }

    /** Expressions that give a number, simple ones first. */
    static Set<Size> candidates(
            List<Size> atoms, long number, ToLongFunction<Size> value, boolean strided) {
        Set<Size> candidates = new LinkedHashSet<>(atoms);
        for (Size atom : atoms) {
            addScaled(candidates, atom, number, value.applyAsLong(atom));
            if (strided) {
                addStrided(candidates, atom, number, value.applyAsLong(atom));
            }
        }
        for (Size a : atoms) {
            for (Size b : atoms) {
                var product = new Size.Times(a, b);
                candidates.add(product);
                addScaled(candidates, product, number, value.applyAsLong(product));
            }
        }
        return candidates;
    }

    /** What is left behind windows with a stride: {@code (length + a) / stride}, rounded down. */
    private static void addStrided(Set<Size> candidates, Size size, long number, long now) {
        for (long stride = 2; stride <= 64; stride++) {
            for (long over = 0; over < stride; over++) {
                long shift = number * stride + over - now;
                candidates.add(
                        new Size.Over(shift == 0 ? size : new Size.Plus(size, shift), stride));
            }
        }
    }

    private static void addScaled(Set<Size> candidates, Size size, long number, long now) {
        if (now > 0 && number % now == 0) {
            candidates.add(new Size.Times(size, new Size.Fixed(number / now)));
        }
        if (number > 0 && now % number == 0) {
            candidates.add(new Size.Over(size, now / number));
        }
        if (number != now) {
            candidates.add(new Size.Plus(size, number - now));
        }
    }
}
