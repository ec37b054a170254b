package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;

/** Arithmetic on the elements of small tensors, as exporters write it to compute extents. */
final class ArithmeticContents {
    private ArithmeticContents() {}

    static void addTo(Rules rules) {
        binary(rules, "Add", Fraction::plus);
        binary(rules, "Sub", (a, b) -> a.plus(b.negated()));
        binary(rules, "Mul", Fraction::times);
        binary(rules, "Equal", ArithmeticContents::equal);
        binary(rules, "Less", (a, b) -> Fraction.of(less(a, b)));
        binary(rules, "Greater", (a, b) -> Fraction.of(less(b, a)));
        binary(rules, "LessOrEqual", (a, b) -> Fraction.of(!less(b, a)));
        binary(rules, "GreaterOrEqual", (a, b) -> Fraction.of(!less(a, b)));
        binary(rules, "And", (a, b) -> Fraction.of(truth(a) && truth(b)));
        binary(rules, "Or", (a, b) -> Fraction.of(truth(a) || truth(b)));
        rules.standard(ArithmeticContents::divide, "Div")
                .standard(ArithmeticContents::remainder, "Mod")
                .standard(
                        call -> fold(call, (a, b) -> Fraction.of(a.whole().max(b.whole()))), "Max")
                .standard(
                        call -> fold(call, (a, b) -> Fraction.of(a.whole().min(b.whole()))), "Min")
                .standard(ArithmeticContents::cast, "Cast")
                .standard(ArithmeticContents::where, "Where")
                .standard(call -> reduce(call, Fraction.ONE, Fraction::times), "ReduceProd")
                .standard(call -> reduce(call, Fraction.ZERO, Fraction::plus), "ReduceSum");
        unary(rules, "Neg", Fraction::negated);
        unary(rules, "Floor", a -> Fraction.of(a.floor()));
        unary(rules, "Ceil", a -> Fraction.of(a.ceil()));
        unary(rules, "Not", a -> Fraction.of(!truth(a)));
        unary(rules, "Abs", ArithmeticContents::absolute);
        unary(rules, "Identity", a -> a);
    }

    private static void unary(Rules rules, String op, UnaryOperator<Fraction> each) {
        rules.standard(call -> call.give(0, call.contents(0).map(each)), op);
    }

    private static void binary(Rules rules, String op, BinaryOperator<Fraction> each) {
        rules.standard(
                call -> call.give(0, combined(call.contents(0), call.contents(1), each)), op);
    }

    private static void fold(Call call, BinaryOperator<Fraction> each) {
        Contents all = call.contents(0);
        for (int place = 1; place < call.operands(); place++) {
            all = combined(all, call.contents(place), each);
        }
        call.give(0, all);
    }

    /** Element by element, aligned at the last dimension. */
    static Contents combined(Contents a, Contents b, BinaryOperator<Fraction> each) {
        List<Long> shape = broadcast(a.shape(), b.shape());
        Contents first = expanded(a, shape);
        Contents second = expanded(b, shape);
        var elements = new ArrayList<Fraction>();
        for (int i = 0; i < first.elements().size(); i++) {
            elements.add(each.apply(first.elements().get(i), second.elements().get(i)));
        }
        return new Contents(shape, elements);
    }

    static List<Long> broadcast(List<Long> a, List<Long> b) {
        int rank = Math.max(a.size(), b.size());
        var shape = new ArrayList<Long>();
        for (int dim = 0; dim < rank; dim++) {
            long x = at(a, dim, rank);
            long y = at(b, dim, rank);
            if (x != y && x != 1 && y != 1) {
                throw new Undecided();
            }
            shape.add(x == 1 ? y : x);
        }
        return shape;
    }

    private static long at(List<Long> shape, int dim, int rank) {
        int place = dim - (rank - shape.size());
        return place < 0 ? 1 : shape.get(place);
    }

    /** Elements repeated to a shape that theirs broadcasts to. */
    static Contents expanded(Contents contents, List<Long> shape) {
        if (contents.shape().equals(shape)) {
            return contents;
        }
        int count = Contents.elements(shape);
        var elements = new ArrayList<Fraction>();
        for (int i = 0; i < count; i++) {
            elements.add(contents.elements().get(source(i, contents.shape(), shape)));
        }
        return new Contents(shape, elements);
    }

    private static int source(int index, List<Long> from, List<Long> to) {
        int source = 0;
        int stride = 1;
        int rest = index;
        for (int dim = to.size() - 1; dim >= 0; dim--) {
            int place = (int) (rest % to.get(dim));
            rest /= (int) (long) to.get(dim);
            long length = at(from, dim, to.size());
            source += length == 1 ? 0 : place * stride;
            stride *= (int) length;
        }
        return source;
    }

    private static boolean truth(Fraction a) {
        return Call.known(a.whole()) != 0;
    }

    private static Fraction equal(Fraction a, Fraction b) {
        Extent difference = a.plus(b.negated()).numerator();
        if (difference.isKnown()) {
            return Fraction.of(difference.is(0));
        }
        if (difference.least() > 0 || difference.most() < 0) {
            return Fraction.ZERO;
        }
        throw new Undecided();
    }

    private static boolean less(Fraction a, Fraction b) {
        Extent difference = a.plus(b.negated()).numerator();
        if (difference.most() < 0) {
            return true;
        }
        if (difference.least() >= 0) {
            return false;
        }
        throw new Undecided();
    }

    private static Fraction absolute(Fraction a) {
        if (a.numerator().least() >= 0) {
            return a;
        }
        if (a.numerator().most() <= 0) {
            return a.negated();
        }
        throw new Undecided();
    }

    private static void divide(Call call) {
        boolean integers = Contents.isOf(call.type(0));
        call.give(
                0,
                combined(
                        call.contents(0),
                        call.contents(1),
                        integers ? ArithmeticContents::cutQuotient : Fraction::dividedBy));
    }

    /** Integers are divided towards zero. */
    private static Fraction cutQuotient(Fraction a, Fraction b) {
        Extent over = a.whole();
        Extent by = b.whole();
        if (over.isKnown() && by.isKnown() && !by.is(0)) {
            return Fraction.of(Math.divideExact(over.value(), by.value()));
        }
        boolean exact = !by.is(0) && over.over(by).times(by).equals(over);
        if (exact || (over.least() >= 0 && by.least() >= 1)) {
            return Fraction.of(over.over(by));
        }
        throw new Undecided();
    }

    private static void remainder(Call call) {
        if (!Contents.isOf(call.type(0))) {
            throw new Undecided();
        }
        call.give(0, combined(call.contents(0), call.contents(1), ArithmeticContents::rest));
    }

    private static Fraction rest(Fraction a, Fraction b) {
        if (a.whole().least() < 0 || b.whole().least() < 1) {
            throw new Undecided();
        }
        return Fraction.of(a.whole().minus(a.whole().over(b.whole()).times(b.whole())));
    }

    private static void cast(Call call) {
        ElementType to = ElementType.of(Math.toIntExact(call.node.integer("to", 0)));
        call.give(
                0,
                switch (to) {
                    case FLOAT -> call.contents(0);
                    case INT64, INT32 -> call.contents(0).map(a -> Fraction.of(a.cut()));
                    case BOOL -> call.contents(0).map(a -> Fraction.of(isNotZero(a)));
                    default -> throw new Undecided();
                });
    }

    private static boolean isNotZero(Fraction a) {
        return equal(a, Fraction.ZERO).equals(Fraction.ZERO);
    }

    private static void where(Call call) {
        Contents condition = call.contents(0);
        Contents yes = call.contents(1);
        Contents no = call.contents(2);
        List<Long> shape = broadcast(condition.shape(), broadcast(yes.shape(), no.shape()));
        Contents flags = expanded(condition, shape);
        Contents first = expanded(yes, shape);
        Contents second = expanded(no, shape);
        var chosen = new ArrayList<Fraction>();
        for (int i = 0; i < flags.elements().size(); i++) {
            Fraction a = first.elements().get(i);
            Fraction b = second.elements().get(i);
            chosen.add(a.equals(b) || truth(flags.elements().get(i)) ? a : b);
        }
        call.give(0, new Contents(shape, chosen));
    }

    private static void reduce(Call call, Fraction first, BinaryOperator<Fraction> each) {
        Contents all = call.contents(0);
        List<Long> axes = call.longs("axes", 1);
        int rank = all.shape().size();
        Set<Integer> reduced = new HashSet<>();
        if (axes != null) {
            axes.forEach(axis -> reduced.add(Call.axis(axis, rank)));
        }
        boolean none = reduced.isEmpty() && call.node.integer("noop_with_empty_axes", 0) != 0;
        if (none || (!reduced.isEmpty() && reduced.size() != rank)) {
            throw new Undecided();
        }
        Fraction total = first;
        for (Fraction element : all.elements()) {
            total = each.apply(total, element);
        }
        boolean keep = call.node.integer("keepdims", 1) != 0;
        call.give(0, Contents.filled(keep ? Collections.nCopies(rank, 1L) : List.of(), total));
    }
}
