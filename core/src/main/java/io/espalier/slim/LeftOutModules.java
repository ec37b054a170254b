package io.espalier.slim;

import io.espalier.graph.Node;
import io.espalier.graph.Node.StateRead;
import io.espalier.nn.Constant;
import io.espalier.nn.Identity;
import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedMap;

/**
 * Residual blocks that may be left out of a Java model whose groups have widths: in the place of
 * the module that gives what a block adds comes one that gives its average for each channel, and in
 * the places of those before it such as hand on what they are given.
 */
final class LeftOutModules extends BlockWidths<ModelBlock> {
    private final ModelAnalysis analysis;
    private final List<Tensor> means;

    /**
     * Those of some groups.
     *
     * @param groups how many have widths
     * @param means what each block gives on average, which the caller's scope holds
     */
    LeftOutModules(ModelAnalysis analysis, int groups, SequencedMap<ModelBlock, Tensor> means) {
        super(groups, List.copyOf(means.keySet()), ModelBlock::contains);
        this.analysis = analysis;
        this.means = List.copyOf(means.values());
    }

    /** Where all stay. */
    static LeftOutModules none(ModelAnalysis analysis, List<Group> groups) {
        return new LeftOutModules(analysis, groups.size(), new LinkedHashMap<>());
    }

    /** A block that gives nothing on average. */
    static LeftOutModules ofNothing(ModelAnalysis analysis, ModelBlock block) {
        SequencedMap<ModelBlock, Tensor> means = new LinkedHashMap<>();
        means.put(block, BlockMeans.nothing(analysis, block));
        return new LeftOutModules(analysis, 0, means);
    }

    /** The block that a step belongs to. */
    OptionalInt of(Node node) {
        return first(block -> block.nodes().contains(node));
    }

    /** The block that a parameter or buffer belongs to. */
    OptionalInt of(String tensor) {
        return first(block -> block.tensors().contains(tensor));
    }

    /**
     * Leaves out what is left out at these widths, until it is closed.
     *
     * @param cut the channels that have gone, also of what is given on average
     */
    Out leaveOut(int[] widths, Cut cut) {
        List<ModelBlock> gone = new ArrayList<>();
        var out = new Out(analysis.model(), gone);
        for (int b = 0; b < count(); b++) {
            if (isOut(b, widths)) {
                ModelBlock block = block(b);
                gone.add(block);
                List<Axis> axes = analysis.value(block.branch()).axes();
                Tensor mean = ModelRemoval.kept(means.get(b), axes, cut).clone();
                block.passed().forEach(path -> out.replace(path, new Identity()));
                out.replace(block.giver(), new Constant(mean));
            }
        }
        return out;
    }

    /** Blocks that are left out of a model, as long as this isn't closed. */
    static final class Out implements AutoCloseable {
        private final Module model;
        private final List<ModelBlock> blocks;
        private final Map<String, Module> before = new LinkedHashMap<>();

        private Out(Module model, List<ModelBlock> blocks) {
            this.model = model;
            this.blocks = blocks;
        }

        /** None. */
        static Out none(Module model) {
            return new Out(model, List.of());
        }

        private void replace(String path, Module by) {
            Module old = model.module(path);
            by.training(old.isTraining());
            before.put(path, old);
            model.replace(path, by);
        }

        /** Whether a step of the whole program is in one of them. */
        boolean had(Node node) {
            return blocks.stream().anyMatch(block -> block.nodes().contains(node));
        }

        /** Whether a step of the whole program follows from what one gives alone. */
        boolean isBehind(Node node) {
            return blocks.stream().anyMatch(block -> block.behind().contains(node.result()));
        }

        /** Whether a step of the program that is left reads what one gave on average. */
        boolean stands(Node node) {
            return node instanceof StateRead read
                    && blocks.stream().anyMatch(block -> block.giver().equals(read.owner()));
        }

        /** The parameters that the model no longer has. */
        List<Tensor> parameters() {
            return before.values().stream()
                    .flatMap(module -> module.parameters().stream())
                    .filter(gone -> model.parameters().stream().noneMatch(gone::is_same))
                    .toList();
        }

        /** Puts all back. */
        @Override
        public void close() {
            before.forEach(model::replace);
            before.clear();
        }
    }
}
