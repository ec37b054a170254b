package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Weights of a few bits with a scale for each block. They are kept as bytes, less their zero
 * points, and made real numbers when they are needed.
 */
final class BlockOperators {
    private BlockOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put(Operators.key(OnnxNode.MICROSOFT, "MatMulNBits"), BlockOperators::product);
        table.put(Operators.key(OnnxNode.MICROSOFT, "GatherBlockQuantized"), BlockOperators::rows);
    }

    private static ConstantTensor constant(Call call, int place) {
        ConstantTensor constant = call.constant(place);
        if (constant == null) {
            throw call.refused("its input " + place + " is no constant");
        }
        return constant;
    }

    /** {@code y = x Wᵀ + b} with W of N rows, each in blocks along K. */
    private static void product(Call call) {
        if (call.has(4)) {
            throw call.refused("its blocks are in an order of their own");
        }
        int k = Math.toIntExact(call.node.integer("K", 0));
        int n = Math.toIntExact(call.node.integer("N", 0));
        int bits = Math.toIntExact(call.node.integer("bits", 4));
        int block = Math.toIntExact(call.node.integer("block_size", 0));
        if (k < 1 || n < 1 || block < 1) {
            throw call.refused("its K, N and block_size are %d, %d, %d".formatted(k, n, block));
        }
        int blocks = Math.ceilDiv(k, block);
        int[] steps = PackedIntegers.rows(constant(call, 1), bits, n * blocks, block);
        boolean real = call.has(3) && call.isFloat(3);
        if (!real) {
            int[] zeros =
                    call.has(3)
                            ? PackedIntegers.rows(constant(call, 3), bits, n, blocks)
                            : filled(n * blocks, 1 << (bits - 1));
            for (int i = 0; i < steps.length; i++) {
                steps[i] -= zeros[i / block];
            }
        }
        ElementType type = call.type(0);
        List<Long> perBlock = List.of((long) n, (long) blocks, 1L);
        Value blocksOfSteps = call.constant("steps", tensor(steps, n, blocks, block));
        Value numbers = call.cast(blocksOfSteps, type);
        if (real) {
            numbers = call.apply(GraphOperator.SUB, numbers, shaped(call, 3, perBlock, type));
        }
        Value scaled = call.apply(GraphOperator.MUL, numbers, shaped(call, 2, perBlock, type));
        Value whole =
                call.apply(GraphOperator.FLATTEN, Map.of("start_dim", 1, "end_dim", 2), scaled);
        List<Value> operands = new ArrayList<>(List.of(call.in(0)));
        operands.add(
                blocks * block == k
                        ? whole
                        : call.apply(
                                GraphOperator.NARROW,
                                Map.of("dim", 1, "start", 0, "length", k),
                                whole));
        if (call.has(5)) {
            operands.add(call.in(5));
        }
        call.give(call.apply(GraphOperator.LINEAR, operands.toArray(Value[]::new)));
    }

    private static int[] filled(int count, int number) {
        var numbers = new int[count];
        Arrays.fill(numbers, number);
        return numbers;
    }

    private static Value shaped(Call call, int place, List<Long> shape, ElementType type) {
        Value numbers = call.fixed(place);
        return call.cast(call.apply(GraphOperator.RESHAPE, Map.of("shape", shape), numbers), type);
    }

    /** Integers in as many bytes as they need. */
    private static Tensor tensor(int[] integers, long... shape) {
        int least = 0;
        int most = 0;
        for (int integer : integers) {
            least = Math.min(least, integer);
            most = Math.max(most, integer);
        }
        boolean small = least >= Byte.MIN_VALUE && most <= Byte.MAX_VALUE;
        var longs = new long[integers.length];
        for (int i = 0; i < longs.length; i++) {
            longs[i] = integers[i];
        }
        return Tensors.of(longs, shape).to(small ? ScalarType.Char : ScalarType.Short);
    }

    /** Rows of a table at indices. */
    private static void rows(Call call) {
        ConstantTensor table = constant(call, 0);
        ConstantTensor scales = constant(call, 2);
        int rank = table.shape().size();
        int along = call.axisOf(call.node.integer("quantize_axis", 1), rank);
        int axis = call.axis(call.node.integer("gather_axis", 0), 0);
        if (along == axis) {
            throw call.refused("its blocks are of what it takes apart");
        }
        int block = Math.toIntExact(call.node.integer("block_size", 128));
        Blocks blocks = Blocks.of(call, table, scales, along, block);
        Value steps = call.constant("steps", tensor(blocks.steps(), blocks.shape()));
        Value taken = IndexOperators.select(call, steps, axis);
        Value takenScales = IndexOperators.select(call, call.fixed(2), axis);
        int newRank = rank + call.rank(1) - 1;
        int newAlong = along < axis ? along : along + call.rank(1) - 1;
        Value each =
                QuantizeOperators.repeated(
                        call,
                        takenScales,
                        newRank,
                        newAlong,
                        block,
                        Window.fixed(blocks.shape()[along]));
        call.give(call.apply(GraphOperator.MUL, call.cast(taken, call.type(2)), each));
    }

    /** Integers of a table less their zero points, row by row. */
    @SuppressWarnings("ArrayRecordComponent") // made and read here alone
    private record Blocks(int[] steps, long[] shape) {
        static Blocks of(
                Call call, ConstantTensor table, ConstantTensor scales, int along, int block) {
            boolean packed = table.type() == ElementType.UINT8;
            int bits = packed ? Math.toIntExact(call.node.integer("bits", 4)) : table.type().bits();
            long[] shape = Window.array(table.shape());
            if (packed && along != shape.length - 1) {
                throw call.refused("several of its numbers share a byte, not along their blocks");
            }
            shape[along] *= packed ? 8 / bits : 1;
            long[] perBlock = Window.array(scales.shape());
            long blocks = Math.ceilDiv(shape[along], block);
            for (int dim = 0; dim < shape.length; dim++) {
                if (perBlock.length != shape.length
                        || perBlock[dim] != (dim == along ? blocks : shape[dim])) {
                    throw call.refused(
                            "its scales %s are not one for each block of %d of %s"
                                    .formatted(scales.shape(), block, Arrays.toString(shape)));
                }
            }
            int[] steps = packed ? unpacked(table, bits, shape) : PackedIntegers.elements(table);
            int[] zeros = zeros(call, packed, bits, perBlock);
            int inner = product(shape, along + 1, shape.length);
            int length = Math.toIntExact(shape[along]);
            for (int i = 0; i < steps.length; i++) {
                int place = i / inner % length;
                int outer = i / inner / length;
                steps[i] -= zeros[(int) (outer * blocks + place / block) * inner + i % inner];
            }
            return new Blocks(steps, shape);
        }

        private static int[] zeros(Call call, boolean packed, int bits, long... perBlock) {
            if (!call.has(3)) {
                return filled(product(perBlock, 0, perBlock.length), packed ? 1 << (bits - 1) : 0);
            }
            ConstantTensor zeros = constant(call, 3);
            return packed ? unpacked(zeros, bits, perBlock) : PackedIntegers.elements(zeros);
        }

        private static int[] unpacked(ConstantTensor bytes, int bits, long... shape) {
            int perRow = Math.toIntExact(shape[shape.length - 1]);
            return PackedIntegers.rows(bytes, bits, product(shape, 0, shape.length - 1), perRow);
        }

        private static int product(long[] shape, int from, int to) {
            int product = 1;
            for (int dim = from; dim < to; dim++) {
                product = Math.multiplyExact(product, Math.toIntExact(shape[dim]));
            }
            return product;
        }
    }
}
