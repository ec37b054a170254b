package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.stream.Stream;

/** Nodes that go over to integers together, because one kernel computes them or none alone can. */
sealed interface Unit {
    /** Its nodes, each after those whose results it reads. */
    List<OnnxNode> nodes();

    /** The values that it reads as integers. */
    List<String> inputs();

    /** Its result. */
    default String output() {
        return nodes().getLast().output();
    }

    /** The values that are codes when it is in integers: those that it reads, and its result. */
    default List<String> coded() {
        return Stream.concat(inputs().stream(), Stream.of(output())).distinct().toList();
    }

    /** Values inside it that become codes, and that nothing else reads. */
    default List<String> inner() {
        return List.of();
    }

    /** The name of its first node. */
    default String name() {
        return nodes().getFirst().name();
    }

    /** A convolution, what it is followed by, and a shift and a scale that are the same for all. */
    record Convolution(
            OnnxNode node,
            Activation activation,
            @Nullable UniformAffine affine,
            List<OnnxNode> nodes)
            implements Unit {
        @Override
        public List<String> inputs() {
            return List.of(node.input(0));
        }

        @Override
        public List<String> inner() {
            return activation == Activation.HARD_SWISH || activation == Activation.SILU
                    ? List.of(raw())
                    : List.of();
        }

        /** The value between the convolution and its activation. */
        String raw() {
            return node.output();
        }
    }

    /** Two values added, perhaps with a ReLU. */
    record Sum(OnnxNode node, boolean relu, List<OnnxNode> nodes) implements Unit {
        @Override
        public List<String> inputs() {
            return node.inputs();
        }
    }

    /**
     * A value times a factor from 0 to 1 for each channel, [N, C, 1, 1]: a squeeze-and-excite gate.
     */
    record Gate(OnnxNode node, String value, String factor) implements Unit {
        @Override
        public List<OnnxNode> nodes() {
            return List.of(node);
        }

        @Override
        public List<String> inputs() {
            return List.of(value);
        }
    }

    /** The mean or the largest of windows, or the mean of all. */
    record Pool(OnnxNode node) implements Unit {
        @Override
        public List<OnnxNode> nodes() {
            return List.of(node);
        }

        @Override
        public List<String> inputs() {
            return List.of(node.input(0));
        }
    }

    /** Values one after the other along their channels. */
    record Joined(OnnxNode node) implements Unit {
        @Override
        public List<OnnxNode> nodes() {
            return List.of(node);
        }

        @Override
        public List<String> inputs() {
            return node.inputs();
        }
    }

    /** What follows a convolution without a place of its own. */
    enum Activation {
        NONE,
        RELU,
        RELU6,
        HARD_SWISH,
        SILU;

        /** What it makes of a number. */
        float of(float x) {
            return switch (this) {
                case NONE -> x;
                case RELU -> Math.max(x, 0);
                case RELU6 -> Math.clamp(x, 0, 6);
                case HARD_SWISH -> HardSwish.of(x);
                case SILU -> (float) (x / (1 + Math.exp(-x)));
            };
        }
    }

    /** {@code scale · x + shift}, the same for all channels; scale above 0. */
    record UniformAffine(float scale, float shift) {}
}
