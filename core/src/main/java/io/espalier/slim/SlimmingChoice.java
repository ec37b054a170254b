package io.espalier.slim;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Optimizer;

import java.util.List;

/** What was set for a slimming of a Java model. */
record SlimmingChoice(
        SlimmingTarget target,
        ChannelImportance importance,
        List<String> only,
        List<String> keep,
        List<Optimizer> optimizers,
        boolean wholeBlocks,
        Slimming.Listener listener) {
    static final SlimmingChoice DEFAULT =
            new SlimmingChoice(
                    new SlimmingTarget(SlimmingTarget.Kind.RATIO, 0.5),
                    ChannelImportance.magnitude(),
                    List.of(),
                    List.of(),
                    List.of(),
                    true,
                    (stage, done, total) -> {});

    SlimmingChoice target(SlimmingTarget value) {
        return new SlimmingChoice(value, importance, only, keep, optimizers, wholeBlocks, listener);
    }

    SlimmingChoice importance(ChannelImportance value) {
        return new SlimmingChoice(target, value, only, keep, optimizers, wholeBlocks, listener);
    }

    SlimmingChoice names(List<String> newOnly, List<String> newKeep) {
        return new SlimmingChoice(
                target, importance, newOnly, newKeep, optimizers, wholeBlocks, listener);
    }

    SlimmingChoice optimizers(List<Optimizer> value) {
        return new SlimmingChoice(target, importance, only, keep, value, wholeBlocks, listener);
    }

    SlimmingChoice listener(Slimming.Listener value) {
        return new SlimmingChoice(target, importance, only, keep, optimizers, wholeBlocks, value);
    }

    SlimmingChoice keepingBlocks() {
        return new SlimmingChoice(target, importance, only, keep, optimizers, false, listener);
    }

    /**
     * The groups that may get narrower, of which none shares channels with another; none of a model
     * that has none, which a ratio leaves as it is.
     *
     * @throws EspalierException if there are some but none is left, or a target needs some
     */
    List<Group> groups(ModelSlimmer slimmer) {
        Groups groups = slimmer.groups();
        List<Group> chosen = groups.independent(group -> takes(group, slimmer.names()));
        if (chosen.isEmpty() && !groups.all().isEmpty()) {
            throw new EspalierException(
                    "No layer is left to take channels from; name others to take from, or fewer to"
                            + " keep.");
        }
        if (chosen.isEmpty() && target.isSearched()) {
            String why =
                    groups.pinned().entrySet().stream()
                            .findFirst()
                            .map(e ->
                                    ": those of %s stay, since %s."
                                            .formatted(e.getKey(), e.getValue()))
                            .orElse(".");
            throw new EspalierException("The model has no channels that can go" + why);
        }
        return chosen;
    }

    private boolean takes(Group group, ModelNames names) {
        return (only.isEmpty() || only.stream().anyMatch(name -> names.makes(name, group)))
                && keep.stream().noneMatch(name -> names.touches(name, group));
    }

    /** The residual blocks of a model that may go whole, if all their layers may be taken from. */
    List<ModelBlock> takes(ModelSlimmer slimmer) {
        if (!wholeBlocks
                || !target.isSearched()
                || !(importance instanceof ChannelImportance.OnData)) {
            return List.of();
        }
        ModelNames names = slimmer.names();
        return slimmer.blocks().stream()
                .filter(found ->
                        only.isEmpty()
                                || found.layers().stream()
                                        .allMatch(path -> isOf(only, path, names)))
                .flatMap(found -> found.block().stream())
                .filter(block ->
                        block.modules().stream().noneMatch(path -> isOf(keep, path, names)))
                .toList();
    }

    private static boolean isOf(List<String> patterns, String path, ModelNames names) {
        return patterns.stream().anyMatch(pattern -> names.isNamed(path, pattern));
    }
}
