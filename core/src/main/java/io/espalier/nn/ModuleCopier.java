package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.lang.reflect.Field;
import java.lang.reflect.InaccessibleObjectException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * Copies a module tree of any classes: each module is cloned, and whatever its fields hold of the
 * tree (a child, a registered tensor, a collection, array, record or other object with one of these
 * somewhere in it) is mapped to the copy's, so the copy's code runs the copy. What can't be mapped,
 * such as a lambda that holds a layer, is refused.
 */
@SuppressWarnings("ReferenceEquality") // whether an object was mapped is a question of identity
final class ModuleCopier {
    private final UnaryOperator<Tensor> copyTensor;
    private final IdentityHashMap<Module, Module> modules = new IdentityHashMap<>();
    private final IdentityHashMap<Tensor, Tensor> tensors = new IdentityHashMap<>();

    /** What the objects between modules hold. */
    private final IdentityHashMap<Object, List<Object>> contents = new IdentityHashMap<>();

    /** Those of them with something of the tree in them, or that can't be looked into. */
    private final Set<Object> touched = identitySet();

    private final IdentityHashMap<Object, Object> copies = new IdentityHashMap<>();
    private final Set<Object> begun = identitySet();
    private final ObjectCopier copier = new ObjectCopier(this::map, copies::put);
    private @Nullable Set<Long> storages;

    /** A copier of a tree whose registered tensors become what a function gives. */
    ModuleCopier(UnaryOperator<Tensor> copyTensor) {
        this.copyTensor = copyTensor;
    }

    private static <T> Set<T> identitySet() {
        return Collections.newSetFromMap(new IdentityHashMap<>());
    }

    /**
     * The copy of a module and of what it reaches.
     *
     * @throws EspalierException if a field holds something of the tree that can't be mapped
     */
    Module copy(Module original) {
        cloneAll(original);
        markTouched();
        modules.forEach((from, clone) -> {
            clone.remapModules(this::clone);
            fields(from).forEach(field -> remap(clone, field));
        });
        return clone(original);
    }

    /** Clones all modules and their tensors, and notes what the objects between them hold. */
    private void cloneAll(Module root) {
        Deque<Object> open = new ArrayDeque<>(List.of(root));
        List<Object> lambdas = new ArrayList<>();
        while (!open.isEmpty()) {
            Object next = open.pop();
            if (next instanceof Module module) {
                if (!modules.containsKey(module)) {
                    open.addAll(cloned(module));
                }
            } else if (Contents.isLambda(next)) {
                lambdas.add(next);
            } else {
                note(next, open);
            }
        }
        // What a lambda holds is not copied for its sake: it may be another model.
        open.addAll(lambdas);
        while (!open.isEmpty()) {
            Object next = open.pop();
            if (!(next instanceof Module)) {
                note(next, open);
            }
        }
    }

    /** Clones a module alone; returns what it holds. */
    private List<Object> cloned(Module module) {
        Module clone = module.shallow();
        modules.put(module, clone);
        clone.remapTensors(tensor -> tensors.computeIfAbsent(tensor, copyTensor));
        List<Object> held = new ArrayList<>();
        clone.remapModules(child -> {
            held.add(child);
            return child;
        });
        for (Field field : fields(module)) {
            Object value = Contents.read(field, module);
            if (value != null) {
                held.add(value);
            }
        }
        return held;
    }

    private void note(Object holder, Deque<Object> open) {
        if (!(holder instanceof Tensor) && !contents.containsKey(holder)) {
            List<Object> held = Contents.of(holder);
            contents.put(holder, held);
            open.addAll(held);
        }
    }

    /** The fields of a module's classes below {@link Module}. */
    private static List<Field> fields(Module module) {
        return Contents.fields(module.getClass())
                .orElseThrow(() ->
                        new EspalierException(
                                "Can't copy "
                                        + module.getClass().getName()
                                        + ": its fields are closed to reflection; open its package"
                                        + " to io.espalier.nn."));
    }

    private void markTouched() {
        IdentityHashMap<Object, List<Object>> holders = new IdentityHashMap<>();
        Deque<Object> open = new ArrayDeque<>();
        contents.forEach((holder, all) -> {
            for (Object held : all) {
                holders.computeIfAbsent(held, key -> new ArrayList<>()).add(holder);
                if (isOfTree(held)) {
                    open.add(holder);
                }
            }
            if (Contents.isLambda(holder) && Contents.fields(holder.getClass()).isEmpty()) {
                open.add(holder);
            }
        });
        while (!open.isEmpty()) {
            Object holder = open.pop();
            if (touched.add(holder)) {
                open.addAll(holders.getOrDefault(holder, List.of()));
            }
        }
    }

    private boolean isOfTree(Object value) {
        return switch (value) {
            case Module module -> modules.containsKey(module);
            case Tensor tensor -> tensors.containsKey(tensor) || isViewOfTree(tensor);
            default -> false;
        };
    }

    private void remap(Module clone, Field field) {
        Object value = Contents.read(field, clone);
        try {
            Object mapped = map(value);
            if (mapped != value) {
                if (!field.getType().isInstance(mapped)) {
                    throw new UncopyableException(
                            "is a "
                                    + field.getType().getSimpleName()
                                    + ", of which there is no copy; declare it as the interface of"
                                    + " its kind, such as List or Map.");
                }
                field.set(clone, mapped);
            }
        } catch (UncopyableException e) {
            throw refusal(clone, field, e.getMessage(), e);
        } catch (IllegalAccessException | InaccessibleObjectException e) {
            throw refusal(
                    clone,
                    field,
                    "is closed to reflection; open its package to io.espalier.nn.",
                    e);
        }
    }

    private static EspalierException refusal(
            Module clone, Field field, @Nullable String reason, Throwable cause) {
        return new EspalierException(
                "Can't copy "
                        + clone.getClass().getName()
                        + ": its field '"
                        + field.getName()
                        + "' "
                        + reason,
                cause);
    }

    private Module clone(Module original) {
        return modules.getOrDefault(original, original);
    }

    /** What stands for a value in the copy. */
    private @Nullable Object map(@Nullable Object value) {
        return switch (value) {
            case null -> null;
            case Module module -> clone(module);
            case Tensor tensor -> map(tensor);
            default -> {
                Object known = copies.get(value);
                yield known != null
                        ? known
                        : touched.contains(value) || ObjectCopier.isChangeable(value)
                                ? copyOf(value)
                                : value;
            }
        };
    }

    private Object copyOf(Object value) {
        if (Contents.isLambda(value)) {
            throw new UncopyableException(
                    "holds a lambda that uses a layer or tensor of the model, so that the copy"
                            + " would run the original's; let the module hold it in a field and"
                            + " write the lambda as a method.");
        }
        if (!begun.add(value)) {
            throw new UncopyableException(
                    "holds a " + value.getClass().getName() + " that holds itself.");
        }
        try {
            Object copy = copier.copy(value);
            copies.put(value, copy);
            return copy;
        } catch (ReflectiveOperationException | InaccessibleObjectException e) {
            throw new UncopyableException(
                    "holds a "
                            + value.getClass().getName()
                            + ", which can't be made again ("
                            + e
                            + "); open its package to io.espalier.nn, or make it a record or a"
                            + " Module.");
        }
    }

    private Tensor map(Tensor tensor) {
        Tensor known = tensors.get(tensor);
        if (known != null) {
            return known;
        }
        if (isViewOfTree(tensor)) {
            throw new UncopyableException(
                    "holds a view of a parameter or buffer, so that the copy would see the"
                            + " original's; take the view in forward.");
        }
        return tensor;
    }

    /** Whether a tensor that is not registered shares its memory with one that was copied. */
    private boolean isViewOfTree(Tensor tensor) {
        if (tensor.isNull() || !tensor.defined() || !tensor.has_storage()) {
            return false;
        }
        if (storages == null) {
            storages = new HashSet<>();
            for (Map.Entry<Tensor, Tensor> entry : tensors.entrySet()) {
                if (entry.getKey() != entry.getValue() && entry.getKey().has_storage()) {
                    storages.add(storage(entry.getKey()));
                }
            }
        }
        return storages.contains(storage(tensor));
    }

    private static long storage(Tensor tensor) {
        return tensor.storage().unsafeGetStorageImpl().address();
    }
}
