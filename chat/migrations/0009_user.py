from django.contrib.contenttypes.models import ContentType
from django.db import migrations, models


def move_content_type(apps, schema_editor, old, new):
    """Rename the row that permissions and the admin's log point to: what was granted and logged keeps its meaning."""
    types = apps.get_model('contenttypes', 'ContentType').objects.using(schema_editor.connection.alias)
    before = types.filter(app_label=old, model='user').first()
    after = types.filter(app_label=new, model='user').first()
    if before and after:
        merge(apps, schema_editor.connection.alias, before, after)
    elif before:
        types.filter(pk=before.pk).update(app_label=new)
    ContentType.objects.clear_cache()


def merge(apps, alias, before, after):
    """Give `after` what `before` has. Both are there when an old database was migrated to 0008 by this code."""
    Permission = apps.get_model('auth', 'Permission')
    for permission in Permission.objects.using(alias).filter(content_type_id=before.pk):
        same = Permission.objects.using(alias).filter(content_type_id=after.pk, codename=permission.codename).first()
        if same is None:
            Permission.objects.using(alias).filter(pk=permission.pk).update(content_type_id=after.pk)
            continue
        for group in permission.group_set.using(alias).all():
            group.permissions.add(same)
        for user in permission.user_set.using(alias).all():
            user.user_permissions.add(same)
        permission.delete()
    log = apps.get_model('admin', 'LogEntry').objects.using(alias)
    log.filter(content_type_id=before.pk).update(content_type_id=after.pk)
    before.delete()


def to_chat(apps, schema_editor):
    move_content_type(apps, schema_editor, 'auth', 'chat')


def to_auth(apps, schema_editor):
    move_content_type(apps, schema_editor, 'chat', 'auth')


class Migration(migrations.Migration):
    """The user is the portal's own model."""

    dependencies = [
        ('admin', '0003_logentry_add_action_flag_choices'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('chat', '0008_prices'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='language',
            field=models.CharField(blank=True, max_length=35, verbose_name='language'),
        ),
        migrations.AddField(
            model_name='user',
            name='time_zone',
            field=models.CharField(blank=True, max_length=64, verbose_name='time zone'),
        ),
        migrations.AddField(
            model_name='user',
            name='preferences',
            field=models.JSONField(blank=True, default=dict, verbose_name='preferences'),
        ),
        migrations.RunPython(to_chat, to_auth),
    ]
